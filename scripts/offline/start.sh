#!/bin/sh
# Starts PacerID Studio with Node or Python, whichever is here. What follows goes on to it: sh start.sh --port 8080
cd "$(dirname "$0")" || exit 1
old=
for node in node/bin/node node; do
  command -v "$node" >/dev/null 2>&1 || continue
  if "$node" -e 'process.exit(process.version.match(/\d+/) >= 18 ? 0 : 1)' 2>/dev/null; then exec "$node" serve.mjs "$@"; fi
  old=" The Node that is here is too old."
done
for python in python3 python; do
  command -v "$python" >/dev/null 2>&1 || continue
  # On a Mac without developer tools this one only offers to install them.
  if [ "$(command -v "$python")" = /usr/bin/python3 ] && [ "$(uname)" = Darwin ] && ! xcode-select -p >/dev/null 2>&1; then continue; fi
  if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 7))' 2>/dev/null; then exec "$python" serve.py "$@"; fi
  old="$old The Python that is here is too old."
done
echo "PacerID Studio needs Node (18.3 or later) or Python (3.7 or later) to show its page, and found neither.$old"
echo "Nothing has to be installed: unpack Node's archive for this computer (nodejs.org, .tar.gz) here, and call its folder: node"
exit 1
