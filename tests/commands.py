"""One way to call a command of covid-study."""

from click.testing import CliRunner

from covid_study.cli import main


def call(*words, code=0):
    done = CliRunner().invoke(main, [str(word) for word in words])
    assert done.exit_code == code, done.output + repr(done.exception)
    return done
