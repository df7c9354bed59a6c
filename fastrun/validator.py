"""Whether an object is a task as schema.json describes it.

Generated from schema.json by tools/make_validator.py with fastjsonschema 2.22.3; not to be edited.
"""

import re
from typing import Any

# Of the schema.json that this was made from.
SCHEMA_SHA256 = "4a3a54965cd26f1c308cc1d3fa260b7d5bba2d6a5665af4b565e94f57006ed83"

# The keys of a task that the schema knows.
KEYS = frozenset(['arguments', 'cwd', 'dependencies', 'detach', 'env', 'name', 'timeout', 'type'])


class Invalid(Exception):
    """The object is not valid."""


REGEX_PATTERNS = {'^[^\\u0000]+$': re.compile('^[^\\u0000]+\\Z'), '^[^\\u0000]*$': re.compile('^[^\\u0000]*\\Z'), '^[^=\\u0000]+$': re.compile('^[^=\\u0000]+\\Z')}

def validate(data: Any) -> Any:
    """Return an object as it is, or raise Invalid."""
    if not isinstance(data, dict):
        raise Invalid
    data_is_dict = isinstance(data, dict)
    if data_is_dict:
        data__missing_keys = set(['name', 'type', 'arguments']) - data.keys()
        if data__missing_keys:
            raise Invalid
        if 'cwd' in data:
            data_is_dict = isinstance(data, dict)
            if data_is_dict:
                data_keys = set(data.keys())
                if 'type' in data_keys:
                    data_keys.remove('type')
                    data__type = data['type']
                    if not (isinstance(data__type, str) and data__type == 'exec'):
                        raise Invalid
        if 'env' in data:
            data_is_dict = isinstance(data, dict)
            if data_is_dict:
                data_keys = set(data.keys())
                if 'type' in data_keys:
                    data_keys.remove('type')
                    data__type = data['type']
                    if not (isinstance(data__type, str) and data__type == 'exec'):
                        raise Invalid
        if 'detach' in data:
            data_is_dict = isinstance(data, dict)
            if data_is_dict:
                data_keys = set(data.keys())
                if 'type' in data_keys:
                    data_keys.remove('type')
                    data__type = data['type']
                    if not (isinstance(data__type, str) and data__type == 'exec'):
                        raise Invalid
        data_keys = set(data.keys())
        if 'name' in data_keys:
            data_keys.remove('name')
            data__name = data['name']
            if not isinstance(data__name, str):
                raise Invalid
        if 'type' in data_keys:
            data_keys.remove('type')
            data__type = data['type']
            if not isinstance(data__type, str):
                raise Invalid
            if not (isinstance(data__type, str) and data__type == 'exec' or (isinstance(data__type, str) and data__type == 'eval')):
                raise Invalid
        if 'arguments' in data_keys:
            data_keys.remove('arguments')
            data__arguments = data['arguments']
            if not isinstance(data__arguments, str):
                raise Invalid
        if 'dependencies' in data_keys:
            data_keys.remove('dependencies')
            data__dependencies = data['dependencies']
            if not isinstance(data__dependencies, (list, tuple)):
                raise Invalid
            data__dependencies_is_list = isinstance(data__dependencies, (list, tuple))
            if data__dependencies_is_list:
                data__dependencies_len = len(data__dependencies)
                for data__dependencies_x, data__dependencies_item in enumerate(data__dependencies):
                    if not isinstance(data__dependencies_item, str):
                        raise Invalid
        if 'cwd' in data_keys:
            data_keys.remove('cwd')
            data__cwd = data['cwd']
            if not isinstance(data__cwd, str):
                raise Invalid
            if isinstance(data__cwd, str):
                if not REGEX_PATTERNS['^[^\\u0000]+$'].search(data__cwd):
                    raise Invalid
        if 'env' in data_keys:
            data_keys.remove('env')
            data__env = data['env']
            if not isinstance(data__env, dict):
                raise Invalid
            data__env_is_dict = isinstance(data__env, dict)
            if data__env_is_dict:
                data__env_keys = set(data__env.keys())
                for data__env_key in data__env_keys:
                    if data__env_key not in []:
                        data__env_value = data__env.get(data__env_key)
                        if not isinstance(data__env_value, str):
                            raise Invalid
                        if isinstance(data__env_value, str):
                            if not REGEX_PATTERNS['^[^\\u0000]*$'].search(data__env_value):
                                raise Invalid
                data__env_len = len(data__env)
                if data__env_len != 0:
                    data__env_property_names = True
                    for data__env_key in data__env:
                        try:
                            if isinstance(data__env_key, str):
                                if not REGEX_PATTERNS['^[^=\\u0000]+$'].search(data__env_key):
                                    raise Invalid
                        except Invalid:
                            data__env_property_names = False
                    if not data__env_property_names:
                        raise Invalid
        if 'timeout' in data_keys:
            data_keys.remove('timeout')
            data__timeout = data['timeout']
            if not isinstance(data__timeout, (int, float)) or isinstance(data__timeout, bool):
                raise Invalid
            if isinstance(data__timeout, (int, float)) and (not isinstance(data__timeout, bool)):
                if data__timeout > 1000000000:
                    raise Invalid
                if data__timeout <= 0:
                    raise Invalid
        if 'detach' in data_keys:
            data_keys.remove('detach')
            data__detach = data['detach']
            if not isinstance(data__detach, bool):
                raise Invalid
    return data
