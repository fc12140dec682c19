import sys

from milr_core.cli import main

sys.exit(main())
