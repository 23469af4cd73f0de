"""A gateway and Google, as its sandbox speaks it: decisions out, hours in."""

import pytest

pytest.importorskip("google.ads.googleads", reason="the extra google")
