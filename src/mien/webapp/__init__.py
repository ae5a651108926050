"""The web app: photos, camera, batches, videos and the model, in a browser on this computer.

``app.main`` is the page; ``tabs`` holds one module a tab. What needs no Streamlit is beside
them: ``archives``, ``pictures``, ``tables``, ``markup``, ``jobs`` and ``reports``.
"""
