@echo off
rem Starts PacerID Studio with Node or Python, whichever is here.
title PacerID Studio
pushd "%~dp0"
set "CHECK_NODE=process.exit(process.version.match(/\d+/) >= 18 ? 0 : 1)"
set "CHECK_PYTHON=import sys; sys.exit(sys.version_info < (3, 7))"

if exist "node\node.exe" (
  "node\node.exe" serve.mjs %*
  goto ended
)
node -e "%CHECK_NODE%" >nul 2>nul
if not errorlevel 1 (
  node serve.mjs %*
  goto ended
)
py -3 -c "%CHECK_PYTHON%" >nul 2>nul
if not errorlevel 1 (
  py -3 serve.py %*
  goto ended
)
rem Without Python this one is a sign to the Microsoft Store, and fails.
python -c "%CHECK_PYTHON%" >nul 2>nul
if not errorlevel 1 (
  python serve.py %*
  goto ended
)
echo PacerID Studio needs Node (18.3 or later) or Python (3.7 or later) to show its page, and found neither.
echo Nothing has to be installed: unpack Node's archive for Windows (nodejs.org, .zip) here, and call its folder: node

:ended
popd
pause
