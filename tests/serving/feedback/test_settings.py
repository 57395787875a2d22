"""Settings as the environment has them."""

import pytest
from assay.components.core.errors import BadInput
from assay.serving.feedback.settings import FeedbackSettings

ON = {
    "ASSAY_FEEDBACK_FOLDER": "/data/feedback",
    "ASSAY_FEEDBACK_JOURNAL": "/data/journal",
    "ASSAY_ID_KEY": "k" * 16,
}


def test_off_unless_a_folder_is_named():
    assert not FeedbackSettings.from_environment({}).on
    found = FeedbackSettings.from_environment(
        ON | {"ASSAY_FEEDBACK_FSYNC": "true", "ASSAY_FEEDBACK_ROTATE_ROWS": "7"}
    )
    assert found.on
    assert (found.fsync, found.rotate_rows, found.users) == (True, 7, "pseudonym")


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        (
            {"ASSAY_FEEDBACK_FODLER": "x"},
            "ASSAY_FEEDBACK_FODLER names no setting: choose from ASSAY_FEEDBACK_FOLDER",
        ),
        ({"ASSAY_FEEDBACK_JOURNAL": ""}, "JOURNAL must name a local folder"),
        ({"ASSAY_FEEDBACK_JOURNAL": "/data/feedback/j"}, "lies in ASSAY_FEEDBACK_FOLDER"),
        ({"ASSAY_ID_KEY": ""}, "USERS=pseudonym needs the key .*: no key for pseudonyms: set ASSAY_ID_KEY"),
        ({"ASSAY_ID_KEY": "short"}, "USERS=pseudonym needs the key .*: a key of 5 bytes can be tried out"),
        ({"ASSAY_ID_KEY": "", "ASSAY_ID_KEY_FILE": "/none"}, "USERS=pseudonym .*: /none: .* cannot be read"),
        ({"ASSAY_FEEDBACK_FSYNC": "perhaps"}, "FSYNC=perhaps: write true or false"),
        ({"ASSAY_FEEDBACK_ROTATE_ROWS": "1.5"}, "ROTATE_ROWS=1.5: a whole number is needed"),
        ({"ASSAY_FEEDBACK_ROTATE_SECONDS": "soon"}, "ROTATE_SECONDS=soon: a number is needed"),
        ({"ASSAY_FEEDBACK_QUEUE_EVENTS": "0"}, "QUEUE_EVENTS must be above 0"),
        ({"ASSAY_FEEDBACK_ROTATE_SECONDS": "nan"}, "ROTATE_SECONDS must be above 0"),
        ({"ASSAY_FEEDBACK_RANDOMISE_TOP": "1"}, "RANDOMISE_TOP=1"),
        ({"ASSAY_FEEDBACK_RANDOMISE_SHARE": "2"}, "RANDOMISE_SHARE=2.0: a share above 0"),
        ({"ASSAY_FEEDBACK_USERS": "all"}, "USERS=all: choose from pseudonym, drop"),
    ],
)
def test_what_cannot_be_used_says_why(variables, message):
    with pytest.raises(BadInput, match=message):
        FeedbackSettings.from_environment(ON | variables)
