"""What belongs to one process starts afresh in a forked child: nothing that holds a lock can forget to say how."""

from __future__ import annotations

import ast
from functools import cache

from tests.house.modules import MODULES, PACKAGE, tree_of

KEPT = {
    "Lock",
    "RLock",
    "Condition",
    "WeakSet",
    "WeakKeyDictionary",
    "WeakValueDictionary",
    "Client",
    "AsyncClient",
}
"""What is made once and lives in a process: locks, pools of connections, and who uses them."""

EMPTY = {"dict", "list", "set", "OrderedDict", "defaultdict", "deque", "Counter"}

SHORT_LIVED = {
    ("chat_models/permissions.py", "Approvals"): "lives as long as one call of the model",
    ("chat_models/model_errors.py", ""): "a cache of classes, which are the same everywhere",
    ("chat_models/process_state.py", "SessionClaims"): "there is one, which the module renews with the others",
    ("chat_models/process_state.py", "ReplyCache"): "there is one, which the module renews with the others",
    ("cli/chat/prompts.py", "PromptHandler"): "the command line never forks",
    ("cli/chat/views.py", "Screen"): "the command line never forks",
    (
        "retrievers/downloads.py",
        "_Budget",
    ): "lives as long as one run of downloads, which a child refuses to go on with",
    ("retrievers/uploads.py", "Tracker"): "lives as long as one run of uploads",
    ("retrievers/uploads.py", "_Run"): "lives as long as one run of uploads",
    ("testing/cassette_order.py", "Clock"): "a cassette belongs to one test in one process",
    ("testing/cassette_order.py", "Playback"): "a cassette belongs to one test in one process",
    ("testing/cassette_streams.py", "ReplayedStream"): "a cassette belongs to one test in one process",
    ("testing/vcr.py", "Player"): "a cassette belongs to one test in one process",
    ("testing/vcr.py", ""): "never waited for; the cassette of the parent is in use in a child too",
}


def name_of(call: ast.expr) -> str:
    function = call.func if isinstance(call, ast.Call) else None
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def scopes(tree: ast.Module) -> dict[str, list[ast.AST]]:
    """The nodes of each class, and under an empty name those of the rest."""
    found: dict[str, list[ast.AST]] = {"": []}
    for top in tree.body:
        found.setdefault(top.name if isinstance(top, ast.ClassDef) else "", []).extend(ast.walk(top))
    return found


def decorated(nodes: list[ast.AST], name: str) -> bool:
    """Returns True if a class or function of these nodes has a decorator of this name."""
    decorators = [one for node in nodes for one in getattr(node, "decorator_list", ())]
    return any(name in {getattr(one, "id", ""), getattr(one, "attr", "")} for one in decorators)


def holds_state(nodes: list[ast.AST]) -> bool:
    """Returns True if something is made here that is kept; Python 3.11 has a lock in each cached property."""
    made = any(isinstance(node, ast.Call) and name_of(node) in KEPT for node in nodes)
    return made or decorated(nodes, "cached_property")


def fills_a_global(tree: ast.Module) -> bool:
    assigned = [node for node in tree.body if isinstance(node, ast.Assign | ast.AnnAssign) and node.value]
    values = [node.value for node in assigned if "__all__" not in ast.unparse(node)]
    literals = [
        v
        for v in values
        if isinstance(v, ast.Dict | ast.List) and not (getattr(v, "elts", None) or getattr(v, "keys", None))
    ]
    return bool(literals) or any(name_of(value) in EMPTY for value in values)


def says_how(nodes: list[ast.AST]) -> bool:
    registered = any(isinstance(node, ast.Call) and name_of(node) == "renew_in_child" for node in nodes)
    return registered or decorated(nodes, "renew_cached_properties")


@cache
def states() -> list[tuple[str, str, bool]]:
    found = []
    for path in MODULES:
        tree = tree_of(path)
        for scope, nodes in scopes(tree).items():
            if holds_state(nodes) or (not scope and fills_a_global(tree)):
                found.append((path.relative_to(PACKAGE).as_posix(), scope, says_how(nodes)))
    return found


def test_what_lives_in_a_process_is_renewed_in_a_forked_child():
    forgotten = [
        f"{module} {scope}" for module, scope, renewed in states() if not renewed and (module, scope) not in SHORT_LIVED
    ]
    assert forgotten == [], (
        "register with `process_fork.renew_in_child` what a forked child does with it, or say here why not"
    )


def test_no_exception_is_out_of_date():
    assert set(SHORT_LIVED) <= {(module, scope) for module, scope, renewed in states() if not renewed}
