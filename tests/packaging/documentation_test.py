# SPDX-License-Identifier: GPL-2.0-or-later
"""The manual pages and the completion know all that the program knows: documentation_test.py FTPALG PACKAGING_BUILD_DIRECTORY

What there is to know, the program's --help and tools/ftpalg.toml say.
"""

import pathlib
import re
import subprocess
import sys

SOURCES = pathlib.Path(__file__).resolve().parents[2]
PACKAGING = SOURCES / "tools/packaging"


def output(*command, **more):
    return subprocess.run(command, check=True, capture_output=True, text=True, **more).stdout


def help_of(program, *command):
    return output(program, *command, "--help")


def subcommands(text):
    return re.findall(r"^  ([a-z][a-z-]*)", text.partition("\nSubcommands:")[2], re.MULTILINE)


def commands(program, *command):
    """Every command with its help, subcommands included."""
    text = help_of(program, *command)
    yield command, text
    for name in subcommands(text):
        yield from commands(program, *command, name)


def options(text):
    """Its options, and the values that each takes where it takes certain ones only."""
    return {name: values.split(",") if values else [] for name, values in
            re.findall(r"^  (?:-[a-z],)?(--[a-z0-9-]+)(?: [A-Z]+:\{([^}]*)\})?", text, re.MULTILINE)}


def keys(text):
    """The keys of the configuration file with their defaults, as they are written there."""
    return re.findall(r"^#([a-z_0-9]+ = .*)$", text, re.MULTILINE)


def sections(text):
    return re.findall(r"^(?:#   )?(\[+[a-z_]+\]+)$", text, re.MULTILINE)


def rendered(page):
    """A manual page as it is read, in one line."""
    text = output("mandoc", "-T", "ascii", "-O", "width=1000", page)
    return re.sub(r"\s+", " ", re.sub(".\b", "", text))


def completed(*words):
    """What the completion proposes for the last of the words."""
    script = '''source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
                _ftpalg; printf '%s\\n' "${COMPREPLY[@]}"'''
    return output("bash", "-c", script, "bash", PACKAGING / "completion.bash", *words).split()


def missing(program, build):
    """A sentence for each thing that is missing."""
    source = (PACKAGING / "ftpalg.8").read_text(encoding="utf-8")
    manual = rendered(PACKAGING / "ftpalg.8")
    settings = (SOURCES / "tools/ftpalg.toml").read_text(encoding="utf-8")
    settings_manual = rendered(build / "ftpalg.toml.5")
    for command, text in commands(program):
        name = " ".join(("ftpalg", *command))
        if command and not subcommands(text) and not re.search(rf"^\.It Cm {' '.join(command)}\b", source, re.MULTILINE):
            yield f"ftpalg.8: nothing of {name}"
        if set(subcommands(text)) - set(completed(program, *command, "")):
            yield f"completion: not all subcommands of {name}"
        if set(options(text)) - set(completed(program, *command, "--")):
            yield f"completion: not all options of {name}"
        for option, values in options(text).items():
            if option != "--help" and not re.search(re.escape(option) + r"(?![a-z-])", manual):
                yield f"ftpalg.8: nothing of {option}, of {name}"
            if values and set(values) - set(completed(program, *command, option, "")):
                yield f"completion: not all values of {option}, of {name}"
            yield from (f"ftpalg.8: nothing of {option} {value}, of {name}" for value in values if value not in manual)
    known = {option for _, text in commands(program) for option in options(text)}
    for option in sorted(set(re.findall(r"--[a-z0-9-]+[a-z0-9]", manual))):
        if option not in known and option not in ("--version", "--now"):
            yield f"ftpalg.8: {option}, which the program does not have"
    if len(keys(settings)) < 20 or len(sections(settings)) < 6:
        yield "tools/ftpalg.toml is not read right by this test"
    for words in keys(settings) + sections(settings):
        if re.sub(r"\s+", " ", words) not in settings_manual:
            yield f"ftpalg.toml.5: nothing of {words}"


def main(program, build):
    found = list(missing(program, build))
    for page in (PACKAGING / "ftpalg.8", build / "ftpalg.toml.5"):
        lint = subprocess.run(("mandoc", "-T", "lint", "-W", "warning", page), check=False, capture_output=True, text=True)
        found += lint.stdout.splitlines()
    for sentence in found:
        print(sentence)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], pathlib.Path(sys.argv[2])))
