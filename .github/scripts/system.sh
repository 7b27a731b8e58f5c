#!/bin/sh
# Chromium (for the page tests) and Fashion-MNIST, from Debian, where they are not there already.
# Needs root or sudo to install; without, it says what is missing and goes on: the data is then
# unpacked without root by the case study itself.
set -eu

missing=""
command -v chromium >/dev/null 2>&1 || command -v google-chrome >/dev/null 2>&1 || missing="chromium"
# A browser alone drives nothing.
command -v chromedriver >/dev/null 2>&1 || missing="$missing chromium-driver"
if [ -z "${FASHION_MNIST:-}" ] && [ ! -d /usr/share/datasets/fashion-mnist ]; then
  missing="$missing dataset-fashion-mnist"
fi
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
  echo "not installed here: $missing (no apt-get; see README, 'What it needs')" >&2
  exit 0
fi
sudo=""
if [ "$(id -u)" != 0 ]; then
  if ! sudo -n true 2>/dev/null; then
    echo "not installed here: $missing (needs root: sudo apt-get install $missing)" >&2
    exit 0
  fi
  sudo="sudo -n"
fi
echo "installing $missing ..."
$sudo apt-get update -qq
for package in $missing; do
  # One by one: a release that lacks one of them still gets the others.
  DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "$package" >/dev/null ||
    echo "could not install $package; its tests will say so" >&2
done
