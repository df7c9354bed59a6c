"""Whether an object is a task as schema.json describes it.

Generated from schema.json by tools/make_validator.py with fastjsonschema 2.22.3; not to be edited.
"""

import re
from typing import Any

# Of the schema.json that this was made from.
SCHEMA_SHA256 = "28d32416f48ef41d84d06ed1ee728b2d55ee4d0882623a939f7073d45de24cbb"

# The keys of a task that the schema knows.
KEYS = frozenset(['allow_failure', 'arguments', 'cwd', 'dependencies', 'description', 'detach', 'env', 'name', 'pool', 'resources', 'retries', 'retry_delay', 'tags', 'timeout', 'type', 'when', 'where'])


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
        if 'retries' in data_keys:
            data_keys.remove('retries')
            data__retries = data['retries']
            if not isinstance(data__retries, int) and (not (isinstance(data__retries, float) and data__retries.is_integer())) or isinstance(data__retries, bool):
                raise Invalid
            if isinstance(data__retries, (int, float)) and (not isinstance(data__retries, bool)):
                if data__retries < 0:
                    raise Invalid
                if data__retries > 1000:
                    raise Invalid
        if 'retry_delay' in data_keys:
            data_keys.remove('retry_delay')
            data__retrydelay = data['retry_delay']
            if not isinstance(data__retrydelay, (int, float)) or isinstance(data__retrydelay, bool):
                raise Invalid
            if isinstance(data__retrydelay, (int, float)) and (not isinstance(data__retrydelay, bool)):
                if data__retrydelay < 0:
                    raise Invalid
                if data__retrydelay > 1000000:
                    raise Invalid
        if 'when' in data_keys:
            data_keys.remove('when')
            data__when = data['when']
            if not isinstance(data__when, str):
                raise Invalid
            if not (isinstance(data__when, str) and data__when == 'ok' or (isinstance(data__when, str) and data__when == 'failed') or (isinstance(data__when, str) and data__when == 'always')):
                raise Invalid
        if 'allow_failure' in data_keys:
            data_keys.remove('allow_failure')
            data__allowfailure = data['allow_failure']
            if not isinstance(data__allowfailure, bool):
                raise Invalid
        if 'pool' in data_keys:
            data_keys.remove('pool')
            data__pool = data['pool']
            if not isinstance(data__pool, str):
                raise Invalid
        if 'description' in data_keys:
            data_keys.remove('description')
            data__description = data['description']
            if not isinstance(data__description, str):
                raise Invalid
        if 'tags' in data_keys:
            data_keys.remove('tags')
            data__tags = data['tags']
            if not isinstance(data__tags, (list, tuple)):
                raise Invalid
            data__tags_is_list = isinstance(data__tags, (list, tuple))
            if data__tags_is_list:
                data__tags_len = len(data__tags)
                for data__tags_x, data__tags_item in enumerate(data__tags):
                    if not isinstance(data__tags_item, str):
                        raise Invalid
        if 'where' in data_keys:
            data_keys.remove('where')
            data__where = data['where']
            if not isinstance(data__where, str):
                raise Invalid
            if not (isinstance(data__where, str) and data__where == 'cluster' or (isinstance(data__where, str) and data__where == 'local')):
                raise Invalid
        if 'resources' in data_keys:
            data_keys.remove('resources')
            data__resources = data['resources']
            if not isinstance(data__resources, dict):
                raise Invalid
            data__resources_is_dict = isinstance(data__resources, dict)
            if data__resources_is_dict:
                data__resources_keys = set(data__resources.keys())
                for data__resources_key in data__resources_keys:
                    if data__resources_key not in []:
                        data__resources_value = data__resources.get(data__resources_key)
                        if not isinstance(data__resources_value, (int, float)) or isinstance(data__resources_value, bool):
                            raise Invalid
                        if isinstance(data__resources_value, (int, float)) and (not isinstance(data__resources_value, bool)):
                            if data__resources_value <= 0:
                                raise Invalid
    return data
