"""How the default network's weights came about: ``README.md`` tells the runs.

Plain PyTorch, because a step is quicker than Keras' and can run on one thread: on a shared
machine, two threads that wait for each other after every layer lose most of their time.
"""
