"""README.md names only what is there: files, make targets and commands."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
import typer

from podgraph.cli.app import app

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
LINKS = sorted({link for link in re.findall(r"\]\(([^)#\s]+)\)", README) if "://" not in link})
TARGETS = sorted(set(re.findall(r"\bmake ([a-z][a-z-]*)\b(?=[^a-z]*(?:`|$| #|  ))", README, re.MULTILINE)))
COMMANDS = sorted(set(re.findall(r"podgraph ((?:job|schedule|sensor|ui)(?: [a-z][a-z-]+)?)", README)))


@pytest.mark.parametrize("link", LINKS)
def test_a_link_leads_to_a_file(link: str) -> None:
    assert (ROOT / link).exists()


@pytest.mark.parametrize("picture", [link for link in LINKS if link.endswith(".svg")])
def test_a_picture_can_be_drawn(picture: str) -> None:
    root = ET.parse(ROOT / picture).getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert len(list(root.iter("{http://www.w3.org/2000/svg}text"))) > 30


@pytest.mark.parametrize("target", TARGETS)
def test_a_make_target_is_there(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_is_there(command: str) -> None:
    found: Any = typer.main.get_command(app)
    for word in command.split():
        assert word in found.commands
        found = found.commands[word]


def test_there_is_something_to_look_at() -> None:
    assert (len(LINKS) > 5, "test" in TARGETS, "job execute" in COMMANDS) == (True, True, True)
