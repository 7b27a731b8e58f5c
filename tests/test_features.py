"""Image features are what their definitions say, for every type and size of image."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats
from skimage.measure import shannon_entropy

from modelchecks import features, registry

grey = hnp.arrays(
    np.uint8,
    st.tuples(st.integers(1, 3), st.integers(1, 7), st.integers(1, 7), st.just(1)),
)


@given(grey)
@settings(max_examples=60)
def test_grey_images_agree_with_numpy_and_scikit_image(images):
    scaled = images[..., 0] / 255.0
    np.testing.assert_allclose(features.brightness(images), scaled.mean((1, 2)), atol=1e-9)
    np.testing.assert_allclose(features.contrast(images), scaled.std((1, 2)), atol=1e-9)
    expected = [shannon_entropy(image[..., 0]) for image in images]
    np.testing.assert_allclose(features.entropy(images), expected, atol=1e-9)
    by_counts = [stats.entropy(np.bincount(image.ravel()), base=2) for image in images]
    np.testing.assert_allclose(features.entropy(images), by_counts, atol=1e-9)


@given(grey, st.integers(1, 60))
@settings(max_examples=30)
def test_pixels_are_counted_alike_however_many_at_once(images, pixels):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(features, "_COUNTED_AT_ONCE", pixels)
        mean, spread = features.grey_moments(images)
        entropy = features.entropy(images)
    np.testing.assert_array_equal(entropy, features.entropy(images))
    np.testing.assert_allclose(mean, images.mean((1, 2, 3)), atol=1e-9)
    np.testing.assert_allclose(spread, images.std((1, 2, 3)), atol=1e-6)


@given(hnp.arrays(np.uint8, st.tuples(*(st.integers(0, 4) for _ in range(3)), st.just(2))))
@settings(max_examples=60)
def test_of_two_channels_the_first_is_looked_at_however_it_lies_in_memory(images):
    first = images[..., :1]
    shared = images.view()
    shared.flags.writeable = False
    turned = np.asfortranarray(images)[::-1]
    for name in features.DEFAULT:
        function = getattr(features, name)
        expected = function(first.copy())
        np.testing.assert_array_equal(function(images), expected)
        np.testing.assert_array_equal(function(shared), expected)
        np.testing.assert_array_equal(function(shared), expected)
        np.testing.assert_array_equal(function(turned), expected[::-1])


@pytest.mark.parametrize("name", features.DEFAULT)
@pytest.mark.parametrize("shape", [(2, 0, 4, 1), (2, 4, 0, 1), (2, 0, 0, 2)])
def test_an_image_without_pixels_has_no_number(name, shape):
    assert np.isnan(getattr(features, name)(np.zeros(shape, np.uint8))).all()


def test_an_image_of_one_level_has_no_contrast_at_all():
    levels = np.arange(256, dtype=np.uint8)[:, None, None, None]
    assert not features.contrast(np.broadcast_to(levels, (256, 31, 33, 1))).any()


@given(grey)
@settings(max_examples=60)
def test_sharpness_is_the_mean_step_between_neighbours(images):
    scaled = images[..., 0] / 255.0
    down, across = (np.abs(np.diff(scaled, axis=axis)) for axis in (1, 2))
    expected = (down.mean((1, 2)) + across.mean((1, 2))) / 2 if down.size and across.size else 0
    np.testing.assert_allclose(features.sharpness(images), expected, atol=1e-9)


def test_sharpness_by_hand():
    image = np.array([[0, 51], [102, 255]], np.uint8)[None, :, :, None]
    # |differences| / 255: down .4 and .8, across .2 and .6.
    assert features.sharpness(image)[0] == pytest.approx((0.6 + 0.4) / 2)
    assert features.sharpness(np.full((2, 5, 5, 1), 9, np.uint8)).tolist() == [0, 0]
    assert features.sharpness(np.zeros((2, 1, 9, 1), np.uint8)).tolist() == [0, 0]


@given(grey)
@settings(max_examples=30)
def test_types_that_say_the_same_have_the_same_features(images):
    colour = np.repeat(images, 3, axis=3)
    alpha = np.concatenate([colour, 255 - images], axis=3)
    floats = images.astype(np.float32) / 255
    deep = images.astype(np.uint16) * 257
    for name in features.DEFAULT:
        function = getattr(features, name)
        for other in (colour, alpha, floats, deep):
            np.testing.assert_allclose(function(images), function(other), atol=2e-6)


@pytest.mark.parametrize("name", features.DEFAULT)
def test_a_feature_is_one_number_per_image_also_for_none(name):
    feature = registry.find("features", name, features.Path())
    assert feature(np.zeros((0, 4, 4, 1), np.uint8)).shape == (0,)
    batch = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)
    whole = feature(batch)
    assert whole.shape == (5,)
    assert whole.dtype == np.float64
    np.testing.assert_allclose(whole, [feature(batch[i : i + 1])[0] for i in range(5)], atol=1e-12)


@pytest.mark.parametrize("name", ["brightness", "contrast", "sharpness"])
def test_a_pixel_that_is_no_number_shows(name):
    image = np.full((1, 4, 4, 1), 0.5, np.float32)
    image[0, 1, 1, 0] = np.nan
    assert np.isnan(getattr(features, name)(image)[0])
