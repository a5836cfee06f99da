"""A visitor enters a server that others can reach by a click on its link, wherever that lies, and works there as at home."""

import pytest
from playwright.sync_api import Browser, expect

from tests.pages.test_door import OTHER_ADDRESS, Opened, opened  # noqa: F401 a fixture


@pytest.mark.parametrize("is_clicked", [False, True], ids=["typed", "clicked on another site"])
def test_visitor_enters_by_the_link_and_works_there(browser: Browser, opened: Opened, is_clicked: bool) -> None:  # noqa: F811
    context = browser.new_context()
    page = context.new_page()
    home = f"http://{OTHER_ADDRESS}:{opened.port}/"
    page.goto(home)
    expect(page.get_by_text("opened by a link with its token")).to_be_visible()
    if is_clicked:
        page = context.new_page()
        page.goto(f"http://127.0.0.1:{opened.port}/")  # another site to a browser, though the same server
        page.evaluate("link => document.body.innerHTML = `<a href='${link}'>enter</a>`", f"{home}?token={opened.token}")
        page.get_by_text("enter").click()
    else:
        page.goto(f"{home}?token={opened.token}")
    expect(page.get_by_role("button", name="Train on digits now")).to_be_visible(timeout=20_000)
    assert page.url == home
    assert [cookie["httpOnly"] for cookie in context.cookies(home) if cookie["name"].startswith("trainscope-")] == [True]
    page.get_by_role("link", name="Predict").first.click()
    expect(page.get_by_text("Go to training")).to_be_visible()
    context.close()
