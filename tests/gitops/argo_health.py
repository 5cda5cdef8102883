"""Argo CD's way of asking a health script: Lua 5.1, a global `obj`, and hardly any library."""

from collections.abc import Mapping
from typing import Any

from lupa.lua51 import LuaRuntime, lua_type

_LIBRARIES = {"_G", "package", "table"}
"""What Argo CD gives a script besides the functions of Lua's base (util/lua/lua.go there; also two of `os`)."""
HEALTH = {"Healthy", "Progressing", "Degraded", "Suspended"}
"""What a script may say."""


def health(script: str, resource: Mapping[str, Any]) -> tuple[str, str]:
    """Status and message that a health script gives a resource."""
    lua = LuaRuntime(register_eval=False, register_builtins=False)
    # Without the library for texts, these have no methods either.
    lua.execute("debug.setmetatable('', nil)")
    every = lua.globals()
    for name, part in list(every.items()):
        if lua_type(part) == "table" and name not in _LIBRARIES:
            every[name] = None
    every["package"]["loaded"] = lua.table()
    every["obj"] = _table(lua, resource)
    said = dict(lua.execute(script).items())
    assert said.keys() <= {"status", "message"}, said
    assert said["status"] in HEALTH, said
    return said["status"], said["message"]


def _table(lua: LuaRuntime, value: Any) -> Any:
    """As Argo CD hands it over: mappings and lists are tables, null is nothing."""
    if isinstance(value, Mapping):
        return lua.table_from({key: _table(lua, one) for key, one in value.items()})
    if isinstance(value, list):
        return lua.table_from([_table(lua, one) for one in value])
    return value
