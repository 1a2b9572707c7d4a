"""Every setting can be set, and what can't be is refused with its sentence."""

from typing import Any

import pytest

from tests.chart.generate import generated
from tests.chart.rendering import SETS, Helm, Refused, environment
from tests.chart.schema import UNKNOWN, UNKNOWN_SETTING, phrase
from tests.chart.settings import Setting, settings
from tests.chart.values import values

LEAST = SETS / "least.yaml"
PLAIN = [setting for setting in settings() if not setting.secret]
SECRET = [setting for setting in settings() if setting.secret]
OF_THE_CHART = {"KAFKA_BOOTSTRAP_SERVERS", "MASK_ASSET_URL"}
"""Those that `least.yaml` sets by values of their own."""
SAMPLES: dict[str, Any] = {
    "HEALTH_PORT": 9004,
    "PORT": 9003,
    "SECRETS_DIR": "/secrets",
    "TEMP_FOLDER": "/scratch",
    "VIEW_FILE": "/kept/line/view.db",
}


def test_generated_files_are_fresh() -> None:
    """`python -m tests.chart.generate` would change nothing."""
    stale = [path.name for path, content in generated().items() if path.read_text() != content]
    assert [] == stale


def test_every_setting_reaches_every_program(helm: Helm) -> None:
    """Each that is no secret, read from the code, arrives as it was given in all pods."""
    given = {
        setting.name: _sample(setting) for setting in PLAIN if setting.name not in OF_THE_CHART
    }
    on = {"enabled": True}
    replay = {"id": "r", "fromOffset": 1, "toOffset": 2}
    rendered = helm.render(LEAST, {"config": given, "gateway": on, "replay": replay})
    pods = rendered.pods()
    assert {"consumer", "gateway", "replay", "test", "topics"} == set(pods)
    for pod in pods.values():
        found = environment(pod)
        assert {name: str(value) for name, value in given.items()} == {
            name: found[name] for name in given
        }


def test_every_secret_can_be_given(helm: Helm) -> None:
    """As a file's name and content, for a trial; in no pod's environment."""
    given = {setting.name.lower(): f"secret of {setting.name}" for setting in SECRET}
    rendered = helm.render(LEAST, {"existingSecret": "", "secrets": given})
    assert given == rendered.one("Secret", "line")["stringData"]
    for pod in rendered.pods().values():
        assert not {setting.name for setting in SECRET} & set(environment(pod))


def test_large_numbers_stay_as_they_are(helm: Helm) -> None:
    """Helm reads them as floats, and would write 1.073741824e+09."""
    given = {"MAX_IMAGE_BYTES": 1073741824, "FETCH_DEADLINE_SECONDS": 12.5, "WORKER_COUNT": "4"}
    found = environment(helm.render(LEAST, {"config": given}).pods()["consumer"])
    assert ("1073741824", "12.5", "4") == tuple(found[name] for name in given)


def test_a_wrong_setting_is_refused_with_its_sentence(helm: Helm) -> None:
    """For each setting that some value is wrong for, all in one go."""
    wrong = {setting.name: _wrong(setting) for setting in PLAIN}
    with pytest.raises(Refused) as refused:
        helm.render(LEAST, {"config": wrong})
    for setting in PLAIN:
        words = f"- at '/config/{setting.name}': value must be '{_quoted(setting)}'"
        assert words in str(refused.value)


def test_a_wrong_value_is_refused_with_its_sentence(helm: Helm) -> None:
    """For each value of the chart, all in one go."""
    wrong: dict[str, Any] = {}
    checked = [value for value in values() if not {"settings", "secrets"} & set(value.rule)]
    for value in checked:
        place = wrong
        for key in value.path[:-1]:
            place = place.setdefault(key, {})
        place[value.path[-1]] = "?" if value.rule.get("type") != "string" else 7
    with pytest.raises(Refused) as refused:
        helm.render(LEAST, wrong)
    for value in checked:
        sentence = f"{phrase(value.rule)}: {value.sentence}".replace("'", r"\'")
        assert f"- at '/{'/'.join(value.path)}': value must be '{sentence}'" in str(refused.value)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"replicas": 2}, f"'/replicas': value must be '{UNKNOWN}'"),
        ({"gateway": {"host": "x"}}, f"'/gateway/host': value must be '{UNKNOWN}'"),
        ({"config": {"WORKERS": 2}}, f"'/config/WORKERS': value must be '{UNKNOWN_SETTING}'"),
        ({"config": {"KAFKA_PASSWORD": "x"}}, f"KAFKA_PASSWORD': value must be '{UNKNOWN_SETTING}"),
        ({"secrets": {"worker_count": "2"}}, f"worker_count': value must be '{UNKNOWN_SETTING}"),
        ({"existingSecret": ""}, "existingSecret is not set: name the Secret"),
        ({"secrets": {"kafka_username": "x"}}, "existingSecret and secrets are both set"),
        ({"kafka": {"bootstrapServers": ""}}, "kafka.bootstrapServers is not set"),
        ({"callback": {"url": ""}}, "callback.url is not set"),
        ({"config": {"MASK_ASSET_URL": "http://a"}}, "are the same setting: keep one of them"),
        ({"kafka": {"tls": {"existingSecret": "x"}}}, "set config.KAFKA_SECURITY_PROTOCOL to SSL"),
        ({"config": {"HEALTH_PORT": 0}}, "config.HEALTH_PORT is 0, any port"),
        ({"gateway": {"enabled": True}, "config": {"PORT": 0}}, "config.PORT is 0, any port"),
        (
            {"gateway": {"enabled": True}, "config": {"VIEW_FILE": "/view/view.db"}},
            "so name one more folder",
        ),
        ({"gateway": {"enabled": True, "ingress": {"enabled": True}}}, "an Ingress needs"),
        ({"gateway": {"ingress": {"enabled": True, "hosts": ["a"]}}}, "there is no gateway"),
        ({"replay": {"id": "r", "fromOffset": 2, "toOffset": 2}}, "would end before it begins"),
    ],
)
def test_what_cannot_be_is_refused(values: dict[str, Any], words: str, helm: Helm) -> None:
    with pytest.raises(Refused) as refused:
        helm.render(LEAST, values)
    assert words in str(refused.value)


def _sample(setting: Setting) -> Any:
    """Give a value that isn't the default, and that the schema takes."""
    if setting.name in SAMPLES:
        return SAMPLES[setting.name]
    rule = setting.rule.get("anyOf", [setting.rule])[0]
    if "const" in rule or "enum" in rule:
        return rule.get("const") or rule["enum"][-1]
    if rule["type"] in ("integer", "number"):
        return int(rule.get("maximum", 4000))
    return "kept"


def _wrong(setting: Setting) -> Any:
    return {} if setting.rule.get("type") == "string" else "?"


def _quoted(setting: Setting) -> str:
    return f"{phrase(setting.rule)}: {setting.sentence}".replace("'", r"\'")
