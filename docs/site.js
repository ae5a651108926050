// Wide tables scroll by keyboard too: what scrolls can be focused.
function focusable() {
  for (const table of document.querySelectorAll(".md-typeset__scrollwrap")) {
    if (table.scrollWidth <= table.clientWidth) continue;
    table.tabIndex = 0;
    table.setAttribute("role", "region");
    table.setAttribute("aria-label", "Table");
  }
}

// the theme wraps tables after the page has loaded
new ResizeObserver(focusable).observe(document.querySelector(".md-content"));
addEventListener("resize", focusable);
addEventListener("load", () => setTimeout(focusable, 300));
