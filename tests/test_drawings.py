"""The drawings are what `book/drawings.py` writes, hold what they say, and can be read."""

import itertools
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import drawings
import nbformat
import notebooks
import numpy as np
import pytest
import torch
import xarray as xr
from drawings import DRAWINGS, FOLDER, WIDTH

from sst_tutorial import regions
from sst_tutorial.baselines import Covariance
from sst_tutorial.data import open_sst
from sst_tutorial.evaluation import difference_interval
from sst_tutorial.first_guess import normalised_convolution
from sst_tutorial.model import MonthlyConvDecoder, TemporalPositionalEncoding, VideoEncoder
from sst_tutorial.tiles import OVERLAP, TILE, tiles_of

ROOT = Path(__file__).parents[1]
SVG = "{http://www.w3.org/2000/svg}"
# The width of a drawing on a page of 390 px with a scroll bar, measured in Chromium, and the
# smallest text there.
PHONE, READABLE = 343, 11


def moments(root):
    """What one sees, step by step, by the rules of the file's style: a list of elements for each
    step, and last the file by itself."""
    spans = []  # (element, first step, last step; 0 = the end only)
    step = 0
    for child in root:
        if child.get("class") == "at":
            step += 1
            assert child.get("id") == f"f{step}" and child.get("aria-label").strip()
        spans.append((child, step, step if child.get("class") == "o" else None))
    seen = [[e for e, first, last in spans if first <= k and last in (None, k)]
            for k in range(1, step + 1)]
    return [*seen, [e for e, _, last in spans if last is None]]


def boxes(elements):
    """(text, left, top, right, bottom) of every text, widths estimated on the large side."""
    for text in itertools.chain.from_iterable(e.iter(f"{SVG}text") for e in elements):
        size, x, y = (float(text.get(key)) for key in ("font-size", "x", "y"))
        w = drawings.wide(text.text, size, mono="mono" in text.get("class", ""))
        left = x - {"start": 0, "middle": w / 2, "end": w}[text.get("text-anchor")]
        yield text.text, left, y - 0.72 * size, left + w, y + 0.2 * size


def references():
    """(path, alt, name) of every drawing that a page shows."""
    for path in [*notebooks.chapters(), *ROOT.glob("book/*.md")]:
        if path.suffix == ".md":
            sources = [path.read_text(encoding="utf-8")]
        else:
            cells = nbformat.read(path, as_version=4).cells
            sources = [cell.source for cell in cells if cell.cell_type == "markdown"]
        for source in sources:
            for alt, name in re.findall(r"!\[([^\]]*)\]\([./]*drawings/(\w+)\.svg\)", source):
                yield path, alt, name


@pytest.fixture(scope="module", params=DRAWINGS)
def drawn(request):
    text, alt = drawings.draw(request.param)
    return request.param, text, alt


# ---- every drawing ----------------------------------------------------------------------


def test_the_file_is_what_the_code_writes(drawn):
    name, text, _ = drawn
    assert (FOLDER / f"{name}.svg").read_bytes() == text.encode(), "run: python book/drawings.py"


def test_it_is_xml_with_a_title_and_a_description(drawn):
    name, text, alt = drawn
    root = ET.fromstring(text)
    assert root.get("role") == "img"
    assert root.find(f"{SVG}title").text == DRAWINGS[name][0]
    assert root.find(f"{SVG}desc").text == alt
    assert notebooks.vague(alt, "") == "" and "[" not in alt and "]" not in alt
    ids = re.findall(r'id="(\w+)"', text)
    assert len(ids) == len(set(ids)) and "transform=" not in text
    assert not re.search(r"[>\"= ]nan\b", text)


def test_its_text_can_be_read_on_a_phone(drawn):
    _, text, _ = drawn
    root = ET.fromstring(text)
    assert root.get("viewBox").split()[2] == str(WIDTH)
    sizes = [float(t.get("font-size")) for t in root.iter(f"{SVG}text")]
    assert sizes and min(sizes) * PHONE / WIDTH >= READABLE


def test_no_text_lies_on_another_or_leaves_the_card(drawn):
    _, text, _ = drawn
    root = ET.fromstring(text)
    height = float(root.get("viewBox").split()[3])
    for elements in moments(root):
        found = list(boxes(elements))
        for words, left, top, right, bottom in found:
            assert 0 <= left and right <= WIDTH and 0 <= top and bottom <= height, f"{words!r}: cut"
        for a, b in itertools.combinations(found, 2):
            apart = a[3] <= b[1] or b[3] <= a[1] or a[4] <= b[2] or b[4] <= a[2]
            assert apart, f"{a[0]!r} lies on {b[0]!r}"


def test_every_colour_has_a_light_and_a_dark_form(drawn):
    _, text, _ = drawn
    used = set(re.findall(r'class="([^"]*)"', text))
    used = {name.removeprefix("s-") for classes in used for name in classes.split()}
    assert used - {"no", "bold", "mono", "at", "o"} <= drawings.LIGHT.keys() == drawings.DARK.keys()


def test_a_drawing_with_steps_grows_and_ends_as_the_file_by_itself():
    stepped = {}
    for name in DRAWINGS:
        root = ET.fromstring(drawings.draw(name)[0])
        *steps, alone = moments(root)
        if steps:
            stepped[name] = len(steps)
            assert steps[-1] == alone, f"{name}: the last step is not what stands on paper"
            for before, after in itertools.pairwise(steps):
                assert before != after, f"{name}: a step that shows nothing"
            rules = root.find(f"{SVG}style").text
            hides = re.findall(r"#f(\d+):target~#f(\d+)~g\{display:none\}", rules)
            assert hides == [(str(k), str(k + 1)) for k in range(1, len(steps))]
    # One step of each method: the Gaussian, a pass of corrections, the softmax over days,
    # attention between places, the way back to pixels.
    assert {"gaussian_step", "one_correction", "scores_to_weights", "attention_between_places",
            "stamps"} <= stepped.keys()
    assert min(stepped.values()) >= 3


# ---- the pages --------------------------------------------------------------------------


def test_every_drawing_stands_in_a_page_and_every_file_has_its_code():
    shown = {name for _, _, name in references()}
    assert shown == DRAWINGS.keys()
    assert {path.stem for path in FOLDER.glob("*.svg")} == DRAWINGS.keys()


def test_pages_carry_the_alt_text_of_the_drawing():
    for path, alt, name in references():
        assert alt == drawings.draw(name)[1], f"{path.name}, {name}: run python book/drawings.py"


def test_each_chapter_of_the_machine_says_where_you_are():
    places = {path.stem: name for path, _, name in references() if name.startswith("here_")}
    assert places == {chapter: f"here_{chapter}" for chapter in drawings.HERE}


def test_a_stale_file_and_a_stale_alt_are_found(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(drawings, "FOLDER", tmp_path / "drawings")
    monkeypatch.setattr(drawings, "CHAPTERS", tmp_path)
    cell = nbformat.v4.new_markdown_cell("Look.\n\n![old](../drawings/machine.svg)")
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "page.ipynb")
    assert drawings.main([]) == 0
    assert drawings.main(["check"]) == 0
    source = nbformat.read(tmp_path / "page.ipynb", as_version=4).cells[0].source
    assert source == f"Look.\n\n![{drawings.draw('machine')[1]}](../drawings/machine.svg)"
    (tmp_path / "drawings" / "machine.svg").write_text("<svg/>")
    capsys.readouterr()
    assert drawings.main(["check"]) == 1
    assert capsys.readouterr().out == "machine.svg: out of date\n"
    assert drawings.main(["draw"]) == 2
    with pytest.raises(ValueError, match="'sketch', write a function"):
        drawings.with_alts("![x](../drawings/sketch.svg)")


# ---- the toys are the package's methods -------------------------------------------------


def test_the_toy_causes_are_what_the_chapter_says_of_them():
    noise, gaps, bias = map(drawings.errors_of, ("noise", "gaps", "bias"))
    assert np.abs(noise).max() < 0.1  # averages away
    assert gaps[0] > 0.3 > -0.3 > gaps[1]  # luck of either sign
    assert min(bias) > 0.3 and bias[0] == gaps[0]  # month 1 alone cannot tell them apart


def test_the_toy_layer_norm_is_pytorch_s():
    values = np.outer(drawings.TEMPERATURES, drawings.LIST_W) + drawings.LIST_B
    norm = torch.nn.LayerNorm(3, eps=0.0, elementwise_affine=False)
    np.testing.assert_allclose(drawings.layer_norm(values), norm(torch.tensor(values)), atol=1e-9)


def test_the_toy_gaussian_is_the_package_s():
    _, _, divided = drawings.normalised(drawings.LINE, drawings.DAYS, 1.5)
    line = torch.tensor(drawings.LINE)[None, :, None, None]
    mean, _ = normalised_convolution(line, ~line.isnan(), cells=1, days=1.5)
    np.testing.assert_allclose(divided, mean[0, :, 0, 0], rtol=1e-6)


def test_the_toy_corrections_are_one_row_of_the_package_s():
    from sst_tutorial.first_guess import SuccessiveCorrections

    corrections = SuccessiveCorrections(iterations=3).double()
    with torch.no_grad():
        widths, noises = (torch.tensor(v).log() for v in zip(*drawings.PASSES, strict=True))
        corrections.log_cells.copy_(widths)
        corrections.log_noise.copy_(noises)
        corrections.log_gain.zero_()
        x = torch.tensor(drawings.REPORTS)[None, None, None]  # one day, one row
        analysis, increments, _ = corrections.analyse(x, ~x.isnan())
    np.testing.assert_allclose(analysis[0, 0, 0], drawings.coarse_to_fine_toy()[-1], atol=1e-12)
    assert len(increments) == 3


def test_the_toy_covariance_is_the_package_s():
    r = np.arange(12.0)
    np.testing.assert_allclose(drawings.alike(r), sum(Covariance().space(r)), atol=2e-3)
    assert drawings.NOISE == Covariance().noise_variance


def test_many_passes_divided_at_the_report_end_at_optimal_interpolation():
    found = drawings.guesses_of_passes(2000)[1, -1]
    assert abs(found - drawings.guess_of_oi()) < 1e-3
    assert abs(drawings.guesses_of_passes(1)[0, 0] - drawings.guess_of_head()) < 0.02


def test_the_toy_patterns_converge_and_keep_what_was_seen():
    known = np.isfinite(drawings.EOF_TOY)
    _, filled = drawings.eof_rounds(drawings.EOF_TOY, 400)
    _, once_more = drawings.eof_rounds(drawings.EOF_TOY, 401)
    assert (filled[known] == drawings.EOF_TOY[known]).all()
    np.testing.assert_allclose(filled, once_more, atol=1e-3)


def test_the_toy_tokens_are_the_encoder_s_before_its_norm():
    encoder = VideoEncoder(embed_dim=3, patch_size=(1, 2, 2)).double()
    encoder.norm = torch.nn.Identity()
    with torch.no_grad():
        encoder.proj.weight.copy_(torch.tensor(drawings.EMBED).view(3, 2, 1, 2, 2))
        encoder.proj.bias.zero_()
        x = torch.tensor(drawings.TOY)[None, None]
        tokens = encoder(x, x.isnan())[0]
    np.testing.assert_allclose(tokens, drawings.toy_tokens().reshape(8, 3), atol=1e-12)


def test_the_toy_marks_and_the_taper_are_the_package_s():
    table = TemporalPositionalEncoding(4, 2).pe
    np.testing.assert_allclose(drawings.marks(2), table, atol=1e-6)
    torch.manual_seed(1)
    soft = MonthlyConvDecoder(8, hidden=4).deconv.weight.detach()
    torch.manual_seed(1)
    plain = MonthlyConvDecoder(8, hidden=4, overlap=1)
    plain._even_out(1)  # the taper once more: the ratio is the taper itself
    rows = (plain.deconv.weight / soft)[0, 0].detach()
    np.testing.assert_allclose(rows, np.outer(drawings.taper(), drawings.taper()), rtol=1e-4)


def test_the_toy_stamps_are_a_transposed_convolution():
    pressed, _ = drawings.stamped(1)
    y = torch.nn.functional.conv_transpose1d(
        torch.tensor(drawings.STRENGTH)[None, None], torch.ones(1, 1, 6).double(), stride=4,
        padding=1)
    np.testing.assert_allclose(pressed.sum(0), y[0, 0], atol=1e-12)


def test_the_toy_head_is_pytorch_s_attention():
    q, k, v = (torch.tensor(a)[None] for a in (
        drawings.ASKS[None], drawings.OFFERS, drawings.SAYS[:, None]))
    heard = torch.nn.functional.scaled_dot_product_attention(q, k, v)
    assert abs(heard.item() - drawings.head_step()[2]) < 1e-9


def test_the_toy_twins_are_counted_as_the_chapter_counts_them():
    assert len(set(drawings.twin_groups(32))) == 528
    assert len(set(drawings.twin_groups(4, added=False))) == 16


def test_the_regions_of_the_drawing_are_those_of_the_package():
    rows = drawings.ROWS_OF_MAP
    tiles = tiles_of(rows, TILE, OVERLAP)
    assert [t[0] for t in tiles] == drawings.tile_starts().tolist()
    for first, after in ((0, drawings.CUT), (drawings.CUT, rows)):
        found, low, high = drawings.halo_of(first, after)
        assert regions._halo(slice(first, after), rows) == slice(low, high)
        reach = regions._reach(slice(first, after), rows)
        assert [t[0] for t in reach] == list(found)


def test_the_row_of_a_file_is_read_as_the_package_reads_it():
    ds = xr.Dataset(
        {
            "sst": (("time", "lat", "lon"), drawings.STORED[None, None].astype("int16")),
            "quality_level": (("time", "lat", "lon"), drawings.GRADES[None, None].astype("int8")),
        },
        {"time": np.array(["2016-02-01"], "datetime64[ns]"), "lat": [40.0],
         "lon": -30 + 0.1 * np.arange(6)},
    )  # fmt: skip
    ds["sst"].attrs = {"scale_factor": drawings.SCALE, "_FillValue": np.int16(drawings.FILL)}
    ds["sst"].attrs |= {"units": "kelvin"}
    with pytest.warns(UserWarning, match="quality_level"):
        found = open_sst(ds)["sst"].values[0, 0]
    np.testing.assert_allclose(found, drawings.decoded_row()[2], atol=1e-3)


def test_what_is_hidden_was_seen_and_clouds_take_more_neighbours_than_chance():
    ways = drawings.ways_to_hide()
    (chance, left_by_chance), (cloud, left_by_cloud), (gap, seen) = ways.values()
    for hidden, left in ((chance, left_by_chance), (cloud, left_by_cloud)):
        assert ((hidden | left) == seen).all() and not (hidden & left).any()
    assert chance.sum() == cloud.sum() and not (gap & seen).any()
    away = [drawings.steps_to_nearest(*way) for way in ways.values()]
    assert away == sorted(away) and away[0] < 0.7 * away[1] < away[2]


def test_the_same_blocks_tell_apart_what_other_blocks_do_not():
    (a, b, paired, apart), months = drawings.drawn_blocks()
    assert a[0] < b[0] < a[1] < b[1]  # they overlap
    assert paired[0] > 0 > apart[0] and apart[1] > 0
    assert (np.diff(months, axis=1) % 12 == 1).all()
    ones = np.ones(12)
    low, high = difference_interval(
        *({"by_month": {"square_sum": errors**2.0, "weight_sum": ones}} for errors in (
            drawings.TWELVE + drawings.BEHIND, drawings.TWELVE)), draws=4000)
    np.testing.assert_allclose([low, high], paired, atol=2.5)  # mK: the package's bootstrap


def test_a_card_starts_no_piece_before_its_order():
    spans = []
    for orders, card in drawings.WAYS.values():
        assert all(begin >= end for (begin, _), (_, end) in zip(card, orders, strict=True))
        assert all(a[1] <= b[0] for a, b in itertools.pairwise(card))
        spans.append(card[-1][1])
    assert spans == sorted(spans, reverse=True)
