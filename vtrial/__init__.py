"""vtrial: in-silico clinical trials, from a protocol sheet to a report."""

from vtrial.machine import prepare

prepare()
