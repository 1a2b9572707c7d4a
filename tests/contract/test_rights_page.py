"""The table of rights in docs/security.md is the code's.

A change of `consumer/kafka/rights.py` changes the page in the same commit:
`python -m tests.contract.test_rights_page` writes it.
"""

from collections.abc import Iterator
from pathlib import Path

import yaml

from consumer.kafka.rights import ROLES, Right, Role, rights_of
from consumer.settings import KafkaSettings
from tests.support.acls import Acl

PAGE = Path(__file__).parents[2] / "docs" / "security.md"
BEGIN, END = "<!-- the table of rights -->\n", "<!-- the end of the table of rights -->\n"
SERVERS = "localhost:9092"
DOES: dict[Role, str] = {
    "consumer": "`maskline consume`",
    "gateway": "`maskline gateway`",
    "operator": "every other command of `maskline`, and `submit --batch`",
    "topic creator": "`maskline topics create`",
    "producer": "`maskline submit` and the Python client; any other program needs Write alone",
    "subscriber": "reads events, in a group of its own; its name is an example",
    "replayer": "`maskline consume --replay-id`",
}


def test_the_page_has_the_rights_of_the_code() -> None:
    """All roles, with the default names of topics and group."""
    assert PAGE.read_text() == renewed(PAGE.read_text())


def test_what_the_page_shows_says_the_same_three_times() -> None:
    """Rows, commands and Strimzi's resources name the same operations on the same resources."""
    for role in ROLES:
        rights = rights_of(role, defaults())
        commands = [Acl.of(one) for one in _commands(role, rights)]
        assert [(acl.name, acl.principal) for acl in commands] == [
            (right.name, f"User:{_user(role)}") for right in rights
        ]
        resource = yaml.safe_load(_strimzi(role, rights))
        found = {
            (acl["resource"]["name"], operation)
            for acl in resource["spec"]["authorization"]["acls"]
            for operation in acl["operations"]
        }
        assert found == {(right.name, right.acl_operation) for right in rights}


def renewed(page: str) -> str:
    """Give the page with the table as it is in the code."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + "\n".join(("", *_lines(), "")) + END + after


def defaults() -> KafkaSettings:
    """Give the settings of a line that names nothing itself."""
    return KafkaSettings.model_construct()


def _lines() -> Iterator[str]:
    yield from _matrix()
    for role in ROLES:
        rights = rights_of(role, defaults())
        yield from ("", f"### {role.capitalize()}", "", f"{DOES[role]}.", "")
        yield from ("```", *_commands(role, rights), "```", "")
        yield from ("```yaml", _strimzi(role, rights).rstrip(), "```")


def _matrix() -> Iterator[str]:
    """Write what each role may do with each resource; what it can do without in brackets."""
    cells: dict[str, dict[Role, list[str]]] = {}
    for role in ROLES:
        for right in rights_of(role, defaults()):
            operation = right.acl_operation if right.needed else f"({right.acl_operation})"
            cells.setdefault(right.resource, {}).setdefault(role, []).append(operation)
    yield f"| resource | {' | '.join(ROLES)} |"
    yield f"|{'---|' * (len(ROLES) + 1)}"
    for resource, by_role in sorted(cells.items()):
        yield f"| {resource} | {' | '.join(', '.join(by_role.get(one, [])) for one in ROLES)} |"


def _commands(role: Role, rights: tuple[Right, ...]) -> list[str]:
    principal = f"User:{_user(role)}"
    return [right.command(principal=principal, servers=SERVERS) for right in rights]


def _strimzi(role: Role, rights: tuple[Right, ...]) -> str:
    """Write the role as a resource of Strimzi's user operator."""
    operations: dict[tuple[str, str, bool], list[str]] = {}
    for right in rights:
        key = (right.kind, right.name, right.prefixed)
        operations.setdefault(key, []).append(right.acl_operation)
    acls = [
        f"      - resource: {{type: {_TYPES[kind]}, name: {name},"
        f" patternType: {'prefix' if prefixed else 'literal'}}}\n"
        f"        operations: [{', '.join(found)}]\n"
        for (kind, name, prefixed), found in operations.items()
    ]
    return (
        "apiVersion: kafka.strimzi.io/v1\n"
        "kind: KafkaUser\n"
        f"metadata: {{name: {_user(role)}, labels: {{strimzi.io/cluster: kafka}}}}\n"
        "spec:\n"
        "  authentication: {type: scram-sha-512}\n"
        "  authorization:\n"
        "    type: simple\n"
        "    acls:\n"
    ) + "".join(acls)


_TYPES = {"topic": "topic", "group": "group", "transactional id": "transactionalId"}


def _user(role: Role) -> str:
    return f"maskline-{role.replace(' ', '-')}"


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text()))
