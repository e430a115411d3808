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
    return _proven(_LabText(text).add(instance, stack), before, expected, f"add `{instance.name}` to stack `{stack}`")


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
    return _proven(_LabText(text).remove(name), before, expected, f"remove `{name}`")


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
class Pair:
    """A key and its value in a mapping; for an item of a list the key is the item itself."""

    name: str
    key: Any
    value: Any


class YamlText:
    """A YAML text with its nodes, cut at the positions that these report."""

    def __init__(self, text: str) -> None:
        self.bom = "\ufeff" if text.startswith("\ufeff") else ""
        self.text = text.removeprefix("\ufeff")
        self.newline = "\r\n" if "\r\n" in text else "\n"
        self.lines = self.text.splitlines(keepends=True)
        self.root = YAML(pure=True).compose(self.text)

    def insert_below(self, pair: Pair, block: list[str], flow: str) -> str | None:
        """The text with a member more in the pair's value, which may be empty; None as in `insert`."""
        if is_scalar(pair.value):
            return self._insert_lines(pair.key.end_mark.line, block) if not pair.value.value else None
        return self.insert(pair.value, block, flow)

    def insert(self, node: Any, block: list[str], flow: str) -> str | None:
        """The text with a member more at the end of the node: as lines, or as `flow` between brackets.

        None where the node holds no members.
        """
        if not isinstance(node, nodes.CollectionNode):
            return None
        if not node.flow_style:
            return self._insert_lines(self._last_line(node), block)
        inside = members(node)
        at = self._offset(inside[-1].value.end_mark) if inside else self._offset(node.start_mark) + 1
        return self.bom + self.text[:at] + (", " if inside else "") + flow + self.text[at:]

    def cut(self, holder: Any, gone: Pair) -> str:
        """The text without that member of the node; comments on lines of their own stay."""
        if holder.flow_style:
            return self._cut_flow(holder, gone)
        first, last = gone.key.start_mark.line, self._last_line(gone.value)
        kept = [line for line in self.lines[first : last + 1] if _is_comment(line)]
        return self.bom + "".join([*self.lines[:first], *kept, *self.lines[last + 1 :]])

    def replace(self, node: Any, text: str) -> str:
        """The text with other words in place of a value on one line."""
        return self.bom + self.text[: self._offset(node.start_mark)] + text + self.text[self._offset(node.end_mark) :]

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

    def _cut_flow(self, holder: Any, gone: Pair) -> str:
        inside = members(holder)
        index = next(number for number, member in enumerate(inside) if member.key is gone.key)
        start, end = self._offset(gone.key.start_mark), self._offset(gone.value.end_mark)
        if index > 0:
            start = self._offset(inside[index - 1].value.end_mark)
        elif len(inside) > 1:
            end = self._offset(inside[1].key.start_mark)
        return self.bom + self.text[:start] + self.text[end:]

    def _last_line(self, node: Any) -> int:
        """The line (from 0) on which the node's own text ends, without comments and blank lines after it."""
        if isinstance(node, nodes.CollectionNode) and not node.flow_style and node.value:
            last = members(node)[-1]
            # An alias has the position of what it stands for, which is further up.
            aliased = last.value.start_mark.line < last.key.start_mark.line
            return int(last.key.end_mark.line) if aliased else self._last_line(last.value)
        line: int = node.end_mark.line
        if node.end_mark.column == 0 and line > node.start_mark.line:
            line -= 1
        while line > node.start_mark.line and not self.lines[line].strip():
            line -= 1
        return line

    def _offset(self, mark: Any) -> int:
        return sum(map(len, self.lines[: mark.line])) + int(mark.column)


class _LabText(YamlText):
    """A lab file's text."""

    def add(self, instance: AppInstance, stack: str) -> str | None:
        """The text with the app in it; None where the way it is written is not known here."""
        stacks = member(self.root, "stacks")
        if stacks is None:
            return self.insert(
                self.root,
                ["", "stacks:", *("  " + line for line in _stack_lines(instance, stack, 2))],
                f"stacks: {{{stack}: {_flow_list(instance)}}}",
            )
        found = member(stacks.value, stack)
        if found is None:
            step, dash = _indentation(stacks)
            indent = stacks.key.start_mark.column + step
            block = [" " * indent + line for line in _stack_lines(instance, stack, dash)]
            return self.insert_below(stacks, block, f"{stack}: {_flow_list(instance)}")
        apps = found if is_list(found.value) or is_scalar(found.value) else member(found.value, "apps")
        if apps is None:
            return None
        return self._add_to_apps(apps, instance)

    def _add_to_apps(self, apps: Pair, instance: AppInstance) -> str | None:
        node = apps.value
        if is_list(node) or is_scalar(node):
            column = apps.key.start_mark.column + 2 if is_scalar(node) else node.start_mark.column
            block = [" " * column + line for line in _item_lines(instance)]
            return self.insert_below(apps, block, _flow_item(instance))
        block = [" " * node.start_mark.column + f"{instance.name}: {_flow_settings(instance)}"]
        return self.insert_below(apps, block, f"{instance.name}: {_flow_settings(instance)}")

    def remove(self, name: str) -> str | None:
        """The text without the app, and without its stack where that holds nothing else."""
        stacks = member(self.root, "stacks")
        if stacks is None:
            return None
        for stack in members(stacks.value):
            apps = stack if is_list(stack.value) else member(stack.value, "apps")
            inside = members(apps.value) if apps else []
            for one in inside:
                if apps and one.name == name:
                    holder, gone = (apps.value, one) if len(inside) > 1 else (stacks.value, stack)
                    return self.cut(holder, gone)
        return None


def _is_comment(line: str) -> bool:
    return line.lstrip().startswith("#")


def members(node: Any) -> list[Pair]:
    """What a mapping or a list holds. An item that is a mapping with one name goes by that name."""
    if isinstance(node, nodes.MappingNode):
        return [Pair(key.value, key, value) for key, value in node.value]
    if not isinstance(node, nodes.SequenceNode):
        return []
    named = (item.value[0][0] if isinstance(item, nodes.MappingNode) and item.value else item for item in node.value)
    return [Pair(str(key.value), item, item) for key, item in zip(named, node.value, strict=True)]


def member(node: Any, name: str) -> Pair | None:
    """What the mapping holds under the name."""
    pairs = members(node) if isinstance(node, nodes.MappingNode) else []
    return next((pair for pair in pairs if pair.name == name), None)


def is_list(node: Any) -> bool:
    """Whether it is a list, in either style."""
    return isinstance(node, nodes.SequenceNode)


def is_scalar(node: Any) -> bool:
    """Whether it is a single value, or nothing."""
    return isinstance(node, nodes.ScalarNode)


def _indentation(stacks: Pair) -> tuple[int, int]:
    """How far this file indents a stack below `stacks:`, and the dash of an app below its stack."""
    step = stacks.value.start_mark.column - stacks.key.start_mark.column if not is_scalar(stacks.value) else 2
    for stack in members(stacks.value):
        if is_list(stack.value) and not stack.value.flow_style:
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
