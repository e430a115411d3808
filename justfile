# Thin names for what people and CI run. Everything here can also be typed.

bin := ".venv/bin"

# Make the environment, with what the tests need
setup:
    ./ez-homelab.sh test --help

# Everything, as CI runs it
test *arguments:
    ./ez-homelab.sh test {{ arguments }}

# What needs no Docker
fast *arguments:
    ./ez-homelab.sh test --fast {{ arguments }}

lint:
    {{ bin }}/ruff check
    {{ bin }}/ruff format --check
    {{ bin }}/lint-imports --no-logo

types:
    {{ bin }}/mypy

# Mend what can be mended
fix:
    {{ bin }}/ruff check --fix
    {{ bin }}/ruff format

bench *arguments:
    ./ez-homelab.sh bench {{ arguments }}

# Write the reference pages
docs:
    {{ bin }}/python -m ez_homelab.reference

# Write what golden tests expect anew; look at the difference before you commit it
golden-update:
    UPDATE_GOLDEN=1 {{ bin }}/python -m pytest -q tests/golden

# End the fleet called `lab`
fleet-clean:
    ./ez-homelab.sh fleet down
