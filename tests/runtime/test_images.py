from io import BytesIO

import pytest

from refrain.runtime.errors import ArtifactNotFoundException, UserErrorException
from refrain.runtime.images import artifact_of, check_image, drawn, image_format


@pytest.mark.parametrize(
    ("start", "name"),
    [
        (b"\x89PNG\r\n\x1a\n....", "png"),
        (b"\xff\xd8\xff\xe0", "jpeg"),
        (b"GIF89a", "gif"),
        (b"BM....", "bmp"),
        (b"II*\x00", "tiff"),
        (b"RIFF\x00\x00\x00\x00WEBP", "webp"),
        (b"P5\n1 1", "pnm"),
        (b"Pretty", None),
        (b"", None),
        (b"<svg/>", None),
    ],
)
def test_an_image_is_known_by_its_content(start, name):
    assert image_format(start) == name


def test_a_text_called_png_is_refused(tmp_path):
    (tmp_path / "plot.png").write_text("no image")

    with pytest.raises(UserErrorException, match=r"Image 'roc' .*plot.png' does not hold an image.*run.upload_file"):
        check_image(str(tmp_path / "plot.png"), "roc")


def test_a_missing_image_is_refused(tmp_path):
    with pytest.raises(ArtifactNotFoundException, match=r"Image 'roc' .*no file at .*Save the plot"):
        check_image(str(tmp_path / "plot.png"), "roc")


def test_an_image_keeps_its_path_below_the_working_directory_and_its_name_elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    assert artifact_of("plots/a.png") == "plots/a.png"
    assert artifact_of(str(tmp_path / "plots" / "a.png")) == "plots/a.png"
    assert artifact_of("/elsewhere/a.png") == "a.png"


class Figure:
    def savefig(self, target: BytesIO, format: str) -> None:
        target.write(b"\x89PNG\r\n\x1a\n" + format.encode())


def test_a_figure_is_drawn_as_png():
    assert drawn(Figure(), "roc").endswith(b"png")


def test_a_plot_without_savefig_is_refused():
    with pytest.raises(UserErrorException, match=r"Image 'roc' got a int as its plot.*matplotlib figure"):
        drawn(3, "roc")
