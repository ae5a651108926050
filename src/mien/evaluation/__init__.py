"""Measuring a model against truth: metrics, groups, other data sets, reports, audits.

    evaluate        a model on the test splits of FER2013
    cross_dataset   a model on another data set, and on groups of people
    comparison      two models on the same faces
    metrics         the figures of merit, from logits and true labels
    resample        their bootstrap intervals
    groups          how far groups of people lie apart
    report, plots   everything as Markdown, JSON and figures
    audit           which labels of a data set are doubtful

No training framework is needed: ``pip install 'mien[evaluate]'``.
"""
