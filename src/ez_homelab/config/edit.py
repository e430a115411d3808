"""Puts an app into the text of a lab file, or takes one out, and leaves every other character as it is.

The text is cut and joined at the positions that ruamel.yaml's round-trip parser reports. Its dumper keeps comments, yet
moves them between neighbours and changes indentation, so it is not used. Whatever was done is read again: unless
exactly the app asked for came or went, nothing is returned.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML, nodes

from ez_homelab.config import rules
from ez_homelab.config.load import LAB_FILE, build_stacks, lab_file_error, read_source
from ez_homelab.config.model import AppInstance, Stack
from ez_homelab.errors import UsageError
from ez_homelab.yaml_text import shown

if TYPE_CHECKING:
    from ez_homelab.config.checks import Source


def add_app(text: str, app: str, stack: str, name: str | None = None) -> str:
    """The text with the app in the stack, which is made where it is missing. `name` is the app's name in the lab.

    Raises `UsageError` where a name cannot be used or is taken, `LabFileError` where the text has mistakes already.
    """
    instance = AppInstance(name or app, app)
    for complaint in (rules.name(app), rules.name(instance.name), rules.stack_name(stack)):
        if complaint is not None:
            raise UsageError(complaint[0], fix=complaint[1])
    for own in {app, instance.name} & rules.OWN_STACKS.keys():
        what = f"`{own}` comes by itself where a lab needs it, in stack `{rules.OWN_STACKS[own]}`"
        raise UsageError(what, fix="choose another app or name")
    before = _read(text)
    stacks = build_stacks([before])
    for present in stacks:
        if any(other.name == instance.name for other in present.apps):
            what = f"app `{instance.name}` is there already, in stack `{present.name}`"
            raise UsageError(what, fix="give the new one another name with `--name`")
    if not any(present.name == stack for present in stacks):
        stacks = (*stacks, Stack(stack))
    expected = tuple(
        replace(present, apps=(*present.apps, instance)) if present.name == stack else present for present in stacks
    )
    return _proven(_Text(text).add(instance, stack), before, expected, f"add `{instance.name}` to stack `{stack}`")


def remove_app(text: str, name: str) -> str:
    """The text without the app of that name in the lab; its stack goes too where nothing else is in it.

    Comments on lines of their own stay. Raises `UsageError` where there is no such app in this text, `LabFileError`
    where the text has mistakes already.
    """
    before = _read(text)
    stacks = build_stacks([before])
    names = [app.name for stack in stacks for app in stack.apps]
    if name not in names:
        suggestion = rules.did_you_mean(name, names) or f"it has: {', '.join(names)}"
        raise UsageError(f"there is no app `{shown(name)}` in {LAB_FILE}", fix=suggestion)
    without = (replace(stack, apps=tuple(app for app in stack.apps if app.name != name)) for stack in stacks)
    emptied = next(stack.name for stack in stacks if any(app.name == name for app in stack.apps))
    expected = tuple(stack for stack in without if stack.apps or stack.name != emptied)
    return _proven(_Text(text).remove(name), before, expected, f"remove `{name}`")


def _read(text: str) -> Source:
    source = read_source(text, LAB_FILE)
    if source.reader.faults:
        raise lab_file_error(tuple(source.reader.faults))
    return source


def _proven(text: str | None, before: Source, expected: tuple[Stack, ...], task: str) -> str:
    """The text, if it says what it should and nothing else changed."""
    if text is not None:
        after = read_source(text, LAB_FILE)
        rest = {key: value for key, value in before.values.items() if key != "stacks"}
        same = rest == {key: value for key, value in after.values.items() if key != "stacks"}
        if same and not after.reader.faults and build_stacks([after]) == expected:
            return text
    raise UsageError(f"{LAB_FILE} is written in a way that is not edited by program", fix=f"{task} by hand")


@dataclass(frozen=True, slots=True)
class _Pair:
    """A key and its value in a mapping; for an item of a list the key is the item itself."""

    name: str
    key: Any
    value: Any


class _Text:
    """A lab file's text with its nodes, cut at the positions that these report."""

    def __init__(self, text: str) -> None:
        self.bom = "\ufeff" if text.startswith("\ufeff") else ""
        self.text = text.removeprefix("\ufeff")
        self.newline = "\r\n" if "\r\n" in text else "\n"
        self.lines = self.text.splitlines(keepends=True)
        self.root = YAML(pure=True).compose(self.text)

    def add(self, instance: AppInstance, stack: str) -> str | None:
        """The text with the app in it; None where the way it is written is not known here."""
        stacks = _value(self.root, "stacks")
        if stacks is None:
            return self._insert(
                self.root,
                ["", "stacks:", *("  " + line for line in _stack_lines(instance, stack, 2))],
                f"stacks: {{{stack}: {_flow_list(instance)}}}",
            )
        found = _value(stacks.value, stack)
        if found is None:
            step, dash = _indentation(stacks)
            indent = stacks.key.start_mark.column + step
            block = [" " * indent + line for line in _stack_lines(instance, stack, dash)]
            return self._insert_below(stacks, block, f"{stack}: {_flow_list(instance)}")
        apps = found if _is_list(found.value) or _is_scalar(found.value) else _value(found.value, "apps")
        if apps is None:
            return None
        return self._add_to_apps(apps, instance)

    def _add_to_apps(self, apps: _Pair, instance: AppInstance) -> str | None:
        node = apps.value
        if _is_list(node) or _is_scalar(node):
            column = apps.key.start_mark.column + 2 if _is_scalar(node) else node.start_mark.column
            block = [" " * column + line for line in _item_lines(instance)]
            return self._insert_below(apps, block, _flow_item(instance))
        block = [" " * node.start_mark.column + f"{instance.name}: {_flow_settings(instance)}"]
        return self._insert_below(apps, block, f"{instance.name}: {_flow_settings(instance)}")

    def _insert_below(self, pair: _Pair, block: list[str], flow: str) -> str | None:
        if _is_scalar(pair.value):
            return self._insert_lines(pair.key.end_mark.line, block) if not pair.value.value else None
        return self._insert(pair.value, block, flow)

    def _insert(self, node: Any, block: list[str], flow: str) -> str | None:
        """The text with a member more at the end of the node: as lines, or as `flow` between brackets."""
        if not isinstance(node, nodes.CollectionNode):
            return None
        if not node.flow_style:
            return self._insert_lines(self._last_line(node), block)
        members = _members(node)
        at = self._offset(members[-1].value.end_mark) if members else self._offset(node.start_mark) + 1
        return self.bom + self.text[:at] + (", " if members else "") + flow + self.text[at:]

    def _insert_lines(self, after: int, block: list[str]) -> str:
        lines = list(self.lines)
        # A comment indented deeper than what comes belongs to what is there.
        indent = min(len(line) - len(line.lstrip()) for line in block if line)
        while (
            after + 1 < len(lines) and lines[after + 1].startswith(" " * (indent + 1)) and _is_comment(lines[after + 1])
        ):
            after += 1
        if not lines[after].endswith(("\n", "\r")):
            lines[after] += self.newline
        lines[after + 1 : after + 1] = [line + self.newline for line in block]
        return self.bom + "".join(lines)

    def remove(self, name: str) -> str | None:
        """The text without the app, and without its stack where that holds nothing else."""
        stacks = _value(self.root, "stacks")
        if stacks is None:
            return None
        for stack in _members(stacks.value):
            apps = stack if _is_list(stack.value) else _value(stack.value, "apps")
            members = _members(apps.value) if apps else []
            for member in members:
                if apps and member.name == name:
                    holder, gone = (apps.value, member) if len(members) > 1 else (stacks.value, stack)
                    return self._cut(holder, gone)
        return None

    def _cut(self, holder: Any, gone: _Pair) -> str:
        if holder.flow_style:
            return self._cut_flow(holder, gone)
        first, last = gone.key.start_mark.line, self._last_line(gone.value)
        kept = [line for line in self.lines[first : last + 1] if _is_comment(line)]
        return self.bom + "".join([*self.lines[:first], *kept, *self.lines[last + 1 :]])

    def _cut_flow(self, holder: Any, gone: _Pair) -> str:
        members = _members(holder)
        index = next(number for number, member in enumerate(members) if member.key is gone.key)
        start, end = self._offset(gone.key.start_mark), self._offset(gone.value.end_mark)
        if index > 0:
            start = self._offset(members[index - 1].value.end_mark)
        elif len(members) > 1:
            end = self._offset(members[1].key.start_mark)
        return self.bom + self.text[:start] + self.text[end:]

    def _last_line(self, node: Any) -> int:
        """The line (from 0) on which the node's own text ends, without comments and blank lines after it."""
        if isinstance(node, nodes.CollectionNode) and not node.flow_style and node.value:
            return self._last_line(_members(node)[-1].value)
        line: int = node.end_mark.line
        if node.end_mark.column == 0 and line > node.start_mark.line:
            line -= 1
        while line > node.start_mark.line and not self.lines[line].strip():
            line -= 1
        return line

    def _offset(self, mark: Any) -> int:
        return sum(map(len, self.lines[: mark.line])) + int(mark.column)


def _is_comment(line: str) -> bool:
    return line.lstrip().startswith("#")


def _members(node: Any) -> list[_Pair]:
    """What a mapping or a list holds. An item that is a mapping with one name goes by that name."""
    if isinstance(node, nodes.MappingNode):
        return [_Pair(key.value, key, value) for key, value in node.value]
    if not isinstance(node, nodes.SequenceNode):
        return []
    named = (item.value[0][0] if isinstance(item, nodes.MappingNode) and item.value else item for item in node.value)
    return [_Pair(str(key.value), item, item) for key, item in zip(named, node.value, strict=True)]


def _value(node: Any, name: str) -> _Pair | None:
    pairs = _members(node) if isinstance(node, nodes.MappingNode) else []
    return next((pair for pair in pairs if pair.name == name), None)


def _is_list(node: Any) -> bool:
    return isinstance(node, nodes.SequenceNode)


def _is_scalar(node: Any) -> bool:
    return isinstance(node, nodes.ScalarNode)


def _indentation(stacks: _Pair) -> tuple[int, int]:
    """How far this file indents a stack below `stacks:`, and the dash of an app below its stack."""
    step = stacks.value.start_mark.column - stacks.key.start_mark.column if not _is_scalar(stacks.value) else 2
    for stack in _members(stacks.value):
        if _is_list(stack.value) and not stack.value.flow_style:
            return step, stack.value.start_mark.column - stack.key.start_mark.column
    return step, 2


def _stack_lines(instance: AppInstance, stack: str, dash: int) -> list[str]:
    return [f"{stack}:", *(" " * dash + line for line in _item_lines(instance))]


def _item_lines(instance: AppInstance) -> list[str]:
    if instance.name == instance.app:
        return [f"- {instance.name}"]
    return [f"- {instance.name}:", f"    app: {instance.app}"]


def _flow_settings(instance: AppInstance) -> str:
    return "{}" if instance.name == instance.app else f"{{app: {instance.app}}}"


def _flow_item(instance: AppInstance) -> str:
    return instance.name if instance.name == instance.app else f"{{{instance.name}: {_flow_settings(instance)}}}"


def _flow_list(instance: AppInstance) -> str:
    return f"[{_flow_item(instance)}]"
