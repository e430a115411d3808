"""Where images come from: a registry, or package editions built on the server from Debian and PyPI packages."""
