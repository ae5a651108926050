"""The same readings over millions of pictures: many processes, or many machines.

    plan (a list of parts, fixed) > workers (a part each) > part-000000.parquet, ...

A part says which pictures are in it, and depends on nothing but the sources and the options;
its file appears whole or not at all. So it does not matter who reads a part, how often, or
who is killed meanwhile: what is missing is read again and comes out the same.

    job = Job.open("readings.parquet", ["photos/"], Options())
    for report in read_locally(job.folder, job.missing(), workers=4):
        print(report.images, report.faces, report.errors)
"""

from mien.scale.job import Job, Options, PartReport
from mien.scale.local import read_locally

__all__ = ["Job", "Options", "PartReport", "read_locally"]
