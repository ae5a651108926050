"""Everything that needs a training framework: data, networks, training, evaluation, export.

Nothing outside this package imports keras, tensorflow or torch; install it with
``pip install 'mien[train]'``.
"""
