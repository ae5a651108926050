"""Everything that needs a training framework: networks, recipes, training, export.

Nothing outside this package imports keras, tensorflow or torch; install it with
``pip install 'mien[train]'``.
"""
