"""Sums that users ask in words or signs.

Owns: finding an expression in a question and computing it exactly.
Refuses to know: tables of data.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction

from langchain_mix.emulator.agents.offline.conversation import Conversation, Move, Say

_SPOKEN = (
    (r"(\d)\s*[x\u00d7]\s*(?=\d)", r"\1*"),
    (r"\bplus\b", "+"),
    (r"\bminus\b", "-"),
    (r"\b(?:times|multiplied by)\b", "*"),
    (r"\b(?:divided by|over)\b", "/"),
    (r"\bto the power of\b|\*\*", "^"),
    (r"\bsquared\b", "^2"),
    (r"\bcubed\b", "^3"),
    (r"(\d)\s*(?:%|percent|per cent)\s+of\b", r"\1/100*"),
    (r"(\d)\s*(?:%|percent\b)", r"\1/100"),
    (r"÷", "/"),
    (r"[\u2212\u2013]", "-"),
    (r"(?<=\d),(?=\d{3}\b)", ""),
)
_EXPRESSION = re.compile(r"[-+(]*\d[\d.\s()+*/^-]*")
_TOKEN = re.compile(r"\s*(\d+(?:\.\d+)?|\.\d+|[-+*/^()])")
_ASKED = re.compile(
    r"\b(?:what(?:'s| is| are)|how much (?:is|are)|calculate|compute|evaluate|solve|work out|"
    r"result of|equals?)\b|=\s*\??\s*$",
    re.IGNORECASE,
)
_ROOT = re.compile(r"\bsquare root of\s+(\d{1,30})\b", re.IGNORECASE)
_MAX_EXPONENT = 1000
_MAX_DIGITS = 2000
_MAX_DEPTH = 50
_PLACES = 10


class ArithmeticMistakeError(ValueError):
    """An expression that has no value here. Its text says why."""


def arithmetic(talk: Conversation) -> Move | None:
    """Answers sums."""
    ask = talk.ask
    root = _ROOT.search(ask)
    if root:
        return _root(int(root[1]))
    spoken = ask.casefold()
    for pattern, sign in _SPOKEN:
        spoken = re.sub(pattern, sign, spoken)
    expression = _expression(spoken)
    if expression is None or not (_ASKED.search(ask) or spoken.strip(" =?.!") == expression):
        return None
    thoughts = ("The user wants a calculation.", f"I compute {expression}.")
    try:
        value = evaluate(expression)
    except ArithmeticMistakeError as mistake:
        return Say(f"I cannot compute `{expression}`: {mistake}.", thoughts)
    return Say(f"{expression} = **{shown(value)}**", thoughts)


def _expression(text: str) -> str | None:
    """Finds the longest part that is an expression of at least two numbers and no date."""
    found = [match[0].strip(" .") for match in _EXPRESSION.finditer(text)]
    whole = [part for part in found if re.search(r"\d\s*[)]*\s*[-+*/^]\s*[-(]*\s*[\d.]", part)]
    best = max(whole, key=len, default=None)
    if best is None or re.fullmatch(r"\d{4}-\d{1,2}(-\d{1,2})?|\d{4}\s*-\s*\d{4}", best):
        return None
    return " ".join(best.split())


def _root(number: int) -> Say:
    whole = math.isqrt(number)
    text = str(whole) if whole * whole == number else f"≈ {math.sqrt(number):.10g}"
    return Say(f"The square root of {number} is **{text}**.", ("The user wants a square root.",))


def evaluate(expression: str) -> Fraction:
    """Computes an expression of numbers, `+ - * / ^` and parentheses, without rounding.

    Args:
        expression: As text.

    Returns:
        The exact value.

    Raises:
        ArithmeticMistakeError: If it is malformed, divides by zero or is too large.
    """
    tokens: list[str] = []
    at = 0
    while at < len(expression.rstrip()):
        match = _TOKEN.match(expression, at)
        if match is None:
            raise ArithmeticMistakeError("it is not a complete expression")
        tokens.append(match[1])
        at = match.end()
    reader = _Reader(tokens)
    value = reader.terms(0)
    if reader.rest:
        raise ArithmeticMistakeError("it is not a complete expression")
    return value


class _Reader:
    def __init__(self, tokens: list[str]) -> None:
        self.rest = tokens[::-1]

    def take(self, signs: str) -> str:
        return self.rest.pop() if self.rest and self.rest[-1] in signs else ""

    def terms(self, depth: int) -> Fraction:
        value = self.factors(depth)
        while sign := self.take("+-"):
            other = self.factors(depth)
            value = value + other if sign == "+" else value - other
        return value

    def factors(self, depth: int) -> Fraction:
        value = self.signed(depth)
        while sign := self.take("*/"):
            other = self.signed(depth)
            if sign == "/" and other == 0:
                raise ArithmeticMistakeError("it divides by zero")
            value = value * other if sign == "*" else value / other
        return value

    def signed(self, depth: int) -> Fraction:
        if depth > _MAX_DEPTH:
            raise ArithmeticMistakeError("it is nested too deeply")
        if self.take("-"):
            return -self.signed(depth + 1)
        if self.take("+"):
            return self.signed(depth + 1)
        base = self.atom(depth)
        return _power(base, self.signed(depth + 1)) if self.take("^") else base

    def atom(self, depth: int) -> Fraction:
        if self.take("("):
            value = self.terms(depth + 1)
            if not self.take(")"):
                raise ArithmeticMistakeError("a parenthesis is not closed")
            return value
        if not self.rest or self.rest[-1] in "+-*/^()":
            raise ArithmeticMistakeError("it is not a complete expression")
        return Fraction(self.rest.pop())


def _power(base: Fraction, exponent: Fraction) -> Fraction:
    if exponent.denominator != 1:
        raise ArithmeticMistakeError("only whole exponents are computed exactly")
    size = max(len(str(abs(base.numerator))), len(str(base.denominator)))
    if abs(exponent) > _MAX_EXPONENT or size * abs(exponent.numerator) > _MAX_DIGITS:
        raise ArithmeticMistakeError("the result is too large")
    if base == 0 and exponent < 0:
        raise ArithmeticMistakeError("it divides by zero")
    return Fraction(base**exponent.numerator)


def shown(value: Fraction) -> str:
    """Writes a number: exactly if its decimals end within ten places, otherwise rounded and marked so."""
    if value.denominator == 1:
        return str(value.numerator)
    scaled = value * 10**_PLACES
    exact = scaled.denominator == 1
    digits = f"{abs(round(scaled)):0{_PLACES + 1}d}"
    text = f"{digits[:-_PLACES]}.{digits[-_PLACES:]}".rstrip("0").rstrip(".")
    return f"{'' if exact else '≈ '}{'-' if value < 0 else ''}{text}"
