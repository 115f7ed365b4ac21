#!/bin/sh
# From a file of tickets to a verdict, with commands alone.
#
#   loop.sh TICKETS WORKSPACE [FOLDER OF A BASE MODEL]
#
# MESSAGE and ANSWER name the columns where they are not guessed; SIZES, EPOCHS, RATE and TOKENS are those of the training.
# Ends with 1 where anything fails, and where the tuned model is surely worse than what it is held against.
set -eu
tickets=$1
export STUDIO_WORKSPACE="$2"

field() { # the value of a field in the document on stdin: field snapshot.snapshot_id
    python3 -c 'import functools, json, sys
print(functools.reduce(lambda part, name: part[name], sys.argv[1].split("."), json.load(sys.stdin)))' "$1"
}

tunewright import "$tickets" ${MESSAGE:+--column "message=$MESSAGE"} ${ANSWER:+--column "answer=$ANSWER"}

# What a model must not learn: personal data gives way to placeholders, mail remains go. The gate then says whether all is settled.
tunewright check
tunewright findings fix email phone card iban name address link_token
tunewright findings fix quoted_reply signature disclaimer html
tunewright check || true # nothing to check where nothing was changed
tunewright findings gate

# Lines of test that resemble train are left out, so that the verdict is worth something.
snapshot=$(tunewright freeze --sizes "${SIZES:-200,20,40}" --leaks quarantine --json | field snapshot.snapshot_id)

base=starter
if [ $# -gt 2 ]; then base=$(tunewright models add-base folder "$3" --json | field model.model_id); fi
model=$(tunewright train --snapshot "$snapshot" --base "$base" --epochs "${EPOCHS:-2}" --learning-rate "${RATE:-3e-4}" --json |
    field model_id)

tunewright evaluate "$model" --tokens "${TOKENS:-150}" --no-probes
tunewright report latest --format md --out "$2/report.md"
tunewright verdict latest --json --require not-worse > "$2/verdict.json"
