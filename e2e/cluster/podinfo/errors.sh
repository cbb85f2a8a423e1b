#!/bin/sh
# Its flags come last and so hold, whatever a Deployment says: a third of all answers are errors.
exec ./podinfo-program "$@" --random-error
