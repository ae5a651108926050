"""Measuring a model against truth: metrics, groups, other data sets, reports, audits.

    protocol        from a model and its data to everything in a report
    evaluate        a model on the test splits of FER2013
    cross_dataset   a model on another data set, and on groups of people
    comparison      two models on the same faces
    metrics         the figures of merit, from logits and true labels
    resample        their bootstrap intervals
    groups          how far groups of people lie apart
    report, plots   everything as Markdown, JSON and figures
    cropping        the faces that are looked at
    audit           which labels of a data set are doubtful

No training framework is needed: ``pip install 'mien[evaluate]'``.
"""
