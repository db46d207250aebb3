"""Functions that import plugins, called in a process of their own.

A plugin's import may exit the interpreter, hang, print without end, or set what torch is for
everybody; so may anything of it that is called while a run is planned.
`bench.apart.call.apart` makes of such a function one with the same signature that runs in another
process and answers with JSON. `bench.apart.blame.touching` says there what is being touched, so
that where the process ends, this one knows whose fault it was and asks again without it.
"""
