#!/bin/sh
# Its flags come last and so hold, whatever a Deployment says: every answer is late, without an error.
exec ./podinfo-program "$@" --random-delay --random-delay-unit=ms --random-delay-min=400 --random-delay-max=800
