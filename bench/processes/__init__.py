"""Processes that run a learner's code, so that nothing of it runs in bench's own.

Three kinds, each the parent of the next::

    bench ------ fork server ------ guard ------ worker ------ what a learner starts
      |   forkserver.py         guard.py     worker.py
      +-- child.py: starts one, hears what it says, ends it

The *fork server* has imported what is slow to import. The *guard* runs no code of a learner: it
writes the log, and ends everything below it when the worker has ended, when bench says so, and when
bench is gone. The *worker* does one piece of work (`bench.processes.child.Work`). All that comes
from it is text to be checked: lines of JSON (`bench.processes.messages`) and a log
(`bench.processes.log`). Nothing is pickled, in no direction.

This protects from accidents, not from malice: a learner has the rights of who runs it.
"""
