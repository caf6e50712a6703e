"""Arguments in messages, as whoever reads them knows them."""

from __future__ import annotations

from pushforward.core.argument_names import argument, arguments_named, flag, flags, keyword


def test_python_and_commands_write_arguments_their_own_way() -> None:
    with arguments_named(keyword):
        assert argument("data") == "data"
        assert argument("data", "FILE") == "data=FILE"
        with arguments_named(flag):
            assert argument("prior_weight", "1") == "--prior-weight 1"
            assert (argument("n"), argument("y")) == ("-n", "--y")
        with arguments_named(flags(positive="class")):
            assert argument("positive", "'b'") == "--class 'b'"
            assert argument("rows") == "--rows"
        assert argument("rows", "[0, 1]") == "rows=[0, 1]"
