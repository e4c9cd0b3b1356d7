#!/usr/bin/env python3
"""tests/unit/result/check_schema.py SCHEMA DOCUMENT... - checks JSON files by a JSON Schema.

A .jsonl has a document in each line. Beside that the schema must be one, and must refuse the
document when any field is missing, has another type, or is one too many: a schema that takes
everything would show nothing.
"""

import copy
import json
import sys

import jsonschema


def objects(schema, document, path=()):
    """Paths of the objects whose fields the schema lists, and of what stands in them."""
    for alternative in schema.get("oneOf", []):
        if alternative["properties"]["type"]["const"] == document["type"]:
            schema = alternative
    if schema.get("properties") and isinstance(document, dict):
        yield path, schema
        for name, value in document.items():
            yield from objects(schema["properties"].get(name, {}), value, path + (name,))


def at(document, path):
    for name in path:
        document = document[name]
    return document


def documents_of(name):
    with open(name, encoding="utf-8") as file:
        return [json.loads(text) for text in (file if name.endswith(".jsonl") else [file.read()])]


def must_refuse(validator, document, path, why):
    if validator.is_valid(document):
        sys.exit(f"the schema takes a document with {why} at /{'/'.join(path)}")


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        schema = json.load(file)
    jsonschema.Draft7Validator.check_schema(schema)
    validator = jsonschema.Draft7Validator(schema)
    tried = 0
    documents = [(name, document) for name in sys.argv[2:] for document in documents_of(name)]
    for name, document in documents:
        errors = [f"{name}: {'/'.join(map(str, e.path))}: {e.message[:200]}"
                  for e in validator.iter_errors(document)]
        if errors:
            sys.exit("\n".join(errors))
        for path, part in objects(schema, document):
            extra = copy.deepcopy(document)
            at(extra, path)["surplus"] = 1
            must_refuse(validator, extra, path, "a surplus field")
            for field in part["required"]:
                broken = copy.deepcopy(document)
                del at(broken, path)[field]
                must_refuse(validator, broken, path, f"no {field}")
                broken = copy.deepcopy(document)
                at(broken, path)[field] = None
                must_refuse(validator, broken, path, f"null as {field}")
                tried += 2
    print(f"{len(documents)} valid, {tried} broken ones refused")


if __name__ == "__main__":
    main()
