"""The web app: ``streamlit run emotion_detection_app.py``, or ``mien app`` once installed.

Another model: ``streamlit run emotion_detection_app.py -- --model path/to/model.onnx``
"""

from mien.webapp.app import main

main()
