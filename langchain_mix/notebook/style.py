"""The look of displays: one style sheet and one script, both constant.

Owns: colours that are readable in light and dark themes, and which `<details>` the reader has opened.
Refuses to know: anything that an agent says; no text of an agent is ever put in here.
"""

from __future__ import annotations

from typing import Final

STYLE: Final = """<style>
.lcm{--lcm-ink:var(--jp-content-font-color1,var(--vscode-editor-foreground,currentColor));
--lcm-muted:color-mix(in srgb,var(--lcm-ink) 68%,transparent);
--lcm-line:color-mix(in srgb,var(--lcm-ink) 22%,transparent);
--lcm-fill:color-mix(in srgb,var(--lcm-ink) 6%,transparent);
--lcm-good:color-mix(in srgb,#1f9d45 62%,var(--lcm-ink));--lcm-bad:color-mix(in srgb,#d93a30 68%,var(--lcm-ink));
--lcm-busy:color-mix(in srgb,#1f6fd0 68%,var(--lcm-ink));--lcm-warn:color-mix(in srgb,#b87900 65%,var(--lcm-ink));
--lcm-denied:color-mix(in srgb,#8250df 68%,var(--lcm-ink));--lcm-str:color-mix(in srgb,#0a8577 62%,var(--lcm-ink));
color:var(--lcm-ink);font-family:var(--jp-content-font-family,var(--vscode-font-family,system-ui,sans-serif));
font-size:var(--jp-content-font-size1,14px);line-height:1.5;max-width:60em;overflow-wrap:anywhere}
.lcm *{box-sizing:border-box}
.lcm section{margin:0 0 .6em}
.lcm-label{font-size:.85em;color:var(--lcm-muted);font-weight:600;margin:0 0 .2em}
.lcm-user{border-left:3px solid var(--lcm-busy);padding-left:.7em}
.lcm-md>:first-child{margin-top:0}.lcm-md>:last-child{margin-bottom:0}
.lcm-md{margin:.35em 0}.lcm-md p{margin:.5em 0}
.lcm-md h1,.lcm-md h2,.lcm-md h3,.lcm-md h4{font-size:1.1em;margin:.8em 0 .3em;line-height:1.3}
.lcm-md h1{font-size:1.3em}.lcm-md h2{font-size:1.2em}
.lcm a{color:var(--lcm-busy)}
.lcm.lcm pre,.lcm.lcm code{
font-family:var(--jp-code-font-family,var(--vscode-editor-font-family,ui-monospace,monospace));
font-size:.92em;background:var(--lcm-fill);color:inherit;border-radius:4px}
.lcm.lcm code{padding:.1em .3em}.lcm.lcm pre code{padding:0;background:none;font-size:1em}
.lcm.lcm pre{margin:.3em 0;padding:.5em .7em;white-space:pre-wrap;overflow:auto;max-height:24em;
border:1px solid var(--lcm-line);text-align:left;line-height:1.45}
.lcm.lcm .lcm-md pre,.lcm.lcm .lcm-md pre code{white-space:pre;overflow-wrap:normal}
.lcm-t-k,.lcm-t-kn,.lcm-t-kd,.lcm-t-kc,.lcm-t-kr,.lcm-t-kt,.lcm-t-ow,.lcm-t-nt{color:var(--lcm-bad)}
.lcm-t-s,.lcm-t-s1,.lcm-t-s2,.lcm-t-sa,.lcm-t-sd,.lcm-t-sb,.lcm-t-si,.lcm-t-se,.lcm-t-sr{color:var(--lcm-str)}
.lcm-t-m,.lcm-t-mi,.lcm-t-mf,.lcm-t-mh,.lcm-t-nb,.lcm-t-na,.lcm-t-nv{color:var(--lcm-busy)}
.lcm-t-nf,.lcm-t-nc,.lcm-t-nd,.lcm-t-fm{color:var(--lcm-denied)}
.lcm-t-c,.lcm-t-c1,.lcm-t-cm,.lcm-t-ch,.lcm-t-cp,.lcm-t-sh{color:var(--lcm-muted)}
.lcm-t-gi{color:var(--lcm-good)}.lcm-t-gd{color:var(--lcm-bad)}.lcm-t-gu,.lcm-t-gh{color:var(--lcm-busy)}
.lcm-words{white-space:pre-wrap;color:var(--lcm-muted)}
.lcm details{margin:.3em 0;border:1px solid var(--lcm-line);border-radius:6px;padding:.25em .6em;display:block}
.lcm details details{border:0;padding:0;margin:.2em 0}
.lcm summary{cursor:pointer;display:list-item;color:inherit;font-size:.95em}
.lcm summary:focus-visible{outline:2px solid var(--lcm-busy);outline-offset:2px;border-radius:4px}
.lcm summary .lcm-gist{color:var(--lcm-muted);font-family:var(--jp-code-font-family,ui-monospace,monospace);
font-size:.9em}
.lcm details[open]>summary{margin-bottom:.3em}
.lcm details.lcm-thought[open]>summary .lcm-gist{display:none}
.lcm.lcm pre.lcm-diff{margin:.3em 0;white-space:pre}
.lcm-sub{border-left:2px solid var(--lcm-line);padding-left:.7em;margin:.3em 0}
.lcm-cap{font-size:.85em;color:var(--lcm-muted);margin:.35em 0 .1em}
.lcm-good{color:var(--lcm-good)}.lcm-bad{color:var(--lcm-bad)}.lcm-busy{color:var(--lcm-busy)}
.lcm-denied{color:var(--lcm-denied)}.lcm-warn{color:var(--lcm-warn)}.lcm-muted{color:var(--lcm-muted)}
.lcm-note{border-left:3px solid var(--lcm-warn);padding:.15em .7em;margin:.35em 0;white-space:pre-wrap}
.lcm-error{border:1px solid var(--lcm-bad);border-left-width:4px;border-radius:6px;padding:.4em .8em;margin:.5em 0;
white-space:pre-wrap}
.lcm-status{display:flex;flex-wrap:wrap;gap:.2em 1em;font-size:.85em;color:var(--lcm-muted);margin-top:.5em;
border-top:1px solid var(--lcm-line);padding-top:.35em}
.lcm figure{margin:.5em 0}.lcm figcaption{font-size:.85em;color:var(--lcm-muted)}
.lcm img{max-width:100%;height:auto;border-radius:4px;background:#fff}
.lcm-grid{overflow:auto;max-height:24em;margin:.5em 0}
.lcm.lcm table{border-collapse:collapse;font-size:.92em;margin:0;color:inherit;background:none;
table-layout:auto;width:auto;overflow-wrap:normal;word-break:normal}
.lcm.lcm th,.lcm.lcm td{border:1px solid var(--lcm-line);padding:.2em .55em;text-align:left;vertical-align:top;
white-space:pre-wrap;max-width:32em;color:inherit;background:none}
.lcm.lcm td.lcm-num{text-align:right}
.lcm th{font-weight:600;background:var(--lcm-fill)}
.lcm ul.lcm-tree{list-style:none;margin:.3em 0;padding:0}
.lcm-tree li{margin:0;padding:.15em 0 .15em .7em;border-left:2px solid var(--lcm-line)}
.lcm-tree code{user-select:all}
.lcm.lcm .lcm-tree code{padding:0;background:none}
.lcm-cut{font-size:0}.lcm-tree .lcm-id::before{content:"…"}
.lcm-dot{display:none}
.lcm-said{padding-left:1.2em;white-space:nowrap;overflow:hidden;text-overflow:ellipsis}
.lcm-said b{color:var(--lcm-busy);font-weight:600}
.lcm-facts>span{color:var(--lcm-muted);margin-left:.7em;font-size:.92em}
.lcm-spin{display:inline-block;width:.75em;height:.75em;border:2px solid var(--lcm-line);
border-top-color:var(--lcm-busy);border-radius:50%;animation:lcm-spin 1s linear infinite;vertical-align:-.05em}
@keyframes lcm-spin{to{transform:rotate(1turn)}}
@media (prefers-reduced-motion:reduce){.lcm-spin{animation:none}}
</style>"""
"""For every display: a notebook may show one alone, or several of different versions.

Each colour is mixed with that of the text around, so that it can be read on whatever is behind that text: a page may be
light though the system prefers dark, and frontends mark their themes in ways of their own.
"""

_SCRIPT: Final = """<script>
(function(){
var root=document.getElementById("%s");if(!root)return;
var all=window.__langchainMix=window.__langchainMix||{};
var seen=all[root.id]=all[root.id]||{};
root.querySelectorAll("details[data-key]").forEach(function(d){
var key=d.dataset.key,head=d.querySelector("summary");
function turn(){seen[key]=!d.open;}
if(key in seen)d.open=seen[key];
head.addEventListener("click",turn);
head.addEventListener("pointerdown",function(e){if(e.pointerType==="mouse"&&e.button===0)turn();});
head.addEventListener("pointerleave",function(){if(d.isConnected)seen[key]=d.open;});
});
})();
</script>"""


def keeping_open(root: str) -> str:
    """The script that keeps open what the reader opened, though each update replaces the whole display.

    An update may come between pressing and releasing the mouse, and there is no click then; so pressing counts.

    Frontends that run no scripts of outputs lose nothing but that.

    Args:
        root: The id of the display's outermost element: letters, digits and hyphens.

    Returns:
        The script element.

    Raises:
        ValueError: The id has other characters.
    """
    if not root.replace("-", "").isalnum() or not root.isascii():
        raise ValueError(f"{root!r} is no id of a display.")
    return _SCRIPT % root
