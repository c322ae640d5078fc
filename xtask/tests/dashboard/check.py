"""Whether Grafana's own model of a dashboard takes the JSON on standard input: every field is known and of its type."""

import enum
import json
import sys
import types
import typing

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard


def lost(given, back, place):
    """What the model did not take over."""
    if isinstance(given, dict) and isinstance(back, dict):
        for key, value in given.items():
            if key in back:
                yield from lost(value, back[key], f"{place}.{key}")
            else:
                yield f"{place}.{key} is unknown"
    elif isinstance(given, list) and isinstance(back, list) and len(given) == len(back):
        for index, pair in enumerate(zip(given, back)):
            yield from lost(*pair, f"{place}[{index}]")
    elif given != back:
        yield f"{place}: {given!r} became {back!r}"


def wrong(value, hint, place):
    """What is of another type than the model says; it does not look itself."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is object or isinstance(hint, typing.TypeVar) or hint is typing.Any:
        pass
    elif origin in (typing.Union, types.UnionType):
        if all(list(wrong(value, one, place)) for one in arguments):
            yield f"{place}: {value!r} is none of {arguments}"
    elif origin is typing.Literal:
        if value not in arguments:
            yield f"{place}: {value!r} is none of {arguments}"
    elif origin in (list, dict) and not isinstance(value, origin):
        yield f"{place}: {value!r} is no {origin.__name__}"
    elif origin is list:
        for index, item in enumerate(value):
            yield from wrong(item, arguments[0], f"{place}[{index}]")
    elif origin is dict:
        for key, item in value.items():
            yield from wrong(item, arguments[1], f"{place}.{key}")
    elif isinstance(hint, type) and issubclass(hint, enum.Enum):
        if value not in [member.value for member in hint]:
            yield f"{place}: {value!r} is none of {[member.value for member in hint]}"
    elif hint is float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            yield f"{place}: {value!r} is no number"
    elif isinstance(hint, type) and not isinstance(value, hint):
        yield f"{place}: {value!r} is no {hint.__name__}"
    if hasattr(type(value), "from_json"):
        for name, inner in typing.get_type_hints(type(value)).items():
            yield from wrong(getattr(value, name), inner, f"{place}.{name}")


register_default_plugins()
given = json.load(sys.stdin)
model = Dashboard.from_json(given)
problems = [*lost(given, json.loads(json.dumps(model, cls=JSONEncoder)), "")]
problems += wrong(model, Dashboard, "")
for panel in model.panels:
    # Options depend on the kind of panel, so the model types them only by its registry.
    problems += wrong(panel.options, type(panel.options), f".panels[{panel.title}].options")
print(*problems, sep="\n")
sys.exit(bool(problems))
