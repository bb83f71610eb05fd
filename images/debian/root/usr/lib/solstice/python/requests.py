"""Stands in for requests until something really makes a request, which a seed on a disk never does."""
import importlib
import sys

_SHADOW = "/usr/lib/solstice/python"


def _load(name):
    """Imports the real module of that name."""
    if sys.modules.get("requests") is _this:
        del sys.modules["requests"]
    path = sys.path
    sys.path = [entry for entry in path if entry != _SHADOW]
    try:
        return importlib.import_module(name)
    finally:
        sys.path = path


class _Module:
    """A module that is imported when one of its attributes is first used."""

    def __init__(self, name):
        self._name = name

    def __getattr__(self, attribute):
        return getattr(_load(self._name), attribute)


class _Type(type):
    """A class that asks the real class of its name whether something is an instance."""

    def __instancecheck__(cls, instance):
        return isinstance(instance, getattr(_load("requests"), cls.__name__))


class Response(metaclass=_Type):
    """Named by cloud-init in annotations."""


class Timeout(metaclass=_Type):
    """Named by cloud-init in default arguments."""


_this = sys.modules[__name__]
exceptions = _Module("requests.exceptions")


def __getattr__(attribute):
    # The import statement itself asks for __path__, which must not count as use.
    if attribute.startswith("__"):
        raise AttributeError(attribute)
    return getattr(_load("requests"), attribute)
