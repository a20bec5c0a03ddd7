import pytest

from restock.errors import SourceError
from sources.chunks.columns import check_columns


def test_columns_that_the_feed_does_not_name_are_ignored_and_listed(make_feed):
    feed = make_feed(columns={"sku": "id", "name": "title"})

    assert check_columns(["extra", "title", "id", "more"], feed, {"sku", "name"}) == ["extra", "more"]


def test_a_missing_column_is_named_with_the_nearest(make_feed):
    with pytest.raises(SourceError, match=r"lacks the column 'tilte'; did you mean 'title'\?$") as caught:
        check_columns(["id", "title"], make_feed(columns={"sku": "id", "name": "tilte"}), {"sku", "name"})
    assert caught.value.exit_status == 1


def test_several_columns_are_spoken_of_as_several(make_feed):
    with pytest.raises(SourceError, match=r"lacks the columns 'id', 'tilte'; there are: one, two\.$"):
        check_columns(["one", "two"], make_feed(columns={"sku": "id", "name": "tilte"}), {"sku", "name"})
    with pytest.raises(SourceError, match="has the columns 'one', 'two', which the model does not know"):
        check_columns(["sku", "one", "two"], make_feed(), {"sku", "name"})
    with pytest.raises(SourceError, match=r"has the columns 'one', 'two', which the feed 'shop' .* name them under"):
        check_columns(["id", "one", "two"], make_feed(columns={"sku": "id"}, unknown_columns="fail"), {"sku"})


def test_a_wrong_delimiter_is_suspected_where_there_is_one_column(make_feed):
    with pytest.raises(SourceError, match="delimiter"):
        check_columns(["id;title"], make_feed(columns={"sku": "id"}), {"sku"})


def test_a_source_without_columns_lacks_them(make_feed):
    """As a Parquet file may be."""
    with pytest.raises(SourceError, match=r"lacks the column 'id'; there are: none\.$"):
        check_columns([], make_feed(columns={"sku": "id"}), {"sku"})


def test_without_columns_names_are_matched_and_an_unknown_one_is_refused(make_feed):
    assert check_columns(["sku"], make_feed(), {"sku", "name"}) == []
    with pytest.raises(SourceError, match=r"'nmae', which the model does not know.*'shop'.*'name'"):
        check_columns(["sku", "nmae"], make_feed(), {"sku", "name"})
