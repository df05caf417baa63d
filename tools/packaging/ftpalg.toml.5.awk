# SPDX-License-Identifier: GPL-2.0-or-later
# Makes ftpalg.toml(5) from ftpalg.toml, whose comments say what each key means, so that the manual says the same:
#   awk -f ftpalg.toml.5.awk ftpalg.toml
#
# Paragraphs there are apart by empty lines, and of four kinds: of a [section], of keys with their defaults, of a [[section]] of
# which there may be any number, shown by an example, and the rest, which is of the file or of the section it stands in.

BEGIN {
  RS = ""
  FS = "\n"
  print ".\\\" SPDX-License-Identifier: GPL-2.0-or-later"
  print ".\\\" Made from ftpalg.toml by ftpalg.toml.5.awk."
  print ".Dd November 26, 2026\n.Dt FTPALG.TOML 5\n.Os"
  print ".Sh NAME\n.Nm ftpalg.toml\n.Nd what ftpalg may do"
  print ".Sh SYNOPSIS\n.Pa /etc/ftpalg/ftpalg.toml"
  print ".Sh DESCRIPTION"
  needs_break = 0
}

# A line as mandoc reads it.
function plain(line) {
  gsub(/\\/, "\\e", line)
  gsub(/`/, "", line)
  if (line ~ /^[.']/) line = "\\\\\\&" line
  return line
}

# A line behind a macro, which takes quotation marks for its own.
function plain_key(line) {
  gsub(/"/, "\\(dq", line)
  return line
}

function end_list() {
  if (in_list) print ".El"
  in_list = 0
}

function put_section(title) {
  end_list()
  print ".Ss " title
  needs_break = 0
}

function put_break() {
  if (needs_break) print ".Pp"
  needs_break = 1
}

{
  text = example = section = sections = ""
  key_count = 0
  for (i = 1; i <= NF; ++i) {
    if ($i ~ /SPDX-License-Identifier/) continue
    if ($i ~ /^\[/) section = $i
    else if ($i ~ /^#[a-z]/) keys[++key_count] = substr($i, 2)
    else if ($i ~ /^#   /) {
      line = substr($i, 5)
      if (line ~ /^\[\[/) sections = line
      example = example plain(line) "\n"
    } else if ($i == "#") {
      if (text != "") text = text ".Pp\n"
    } else if ($i ~ /^# /) text = text plain(substr($i, 3)) "\n"
  }
  sub(/\.Pp\n$/, "", text)
  # Each sentence on a line of its own, as mandoc wants it.
  while (match(text, /[a-z)"`][.] [A-Z"]/)) text = substr(text, 1, RSTART + 1) "\n" substr(text, RSTART + 3)

  if (sections != "") section = sections
  if (section != "") put_section(section)
  if (key_count > 0) {
    if (!in_list) print ".Bl -tag -width Ds"
    in_list = 1
    for (i = 1; i <= key_count; ++i) {
      print ".It Li " plain_key(keys[i])
    }
  } else if (text != "") {
    end_list()
    put_break()
  }
  printf "%s", text
  if (example != "") printf "%s%s%s", ".Bd -literal -offset indent\n", example, ".Ed\n"
  if (key_count > 0) needs_break = 1
}

END {
  end_list()
  print ".Sh FILES\n.Bl -tag -width Ds"
  print ".It Pa /etc/ftpalg/ftpalg.toml\nRead when no\n.Fl -config\nnames another."
  print ".El\n.Sh SEE ALSO\n.Xr ftpalg 8"
}
