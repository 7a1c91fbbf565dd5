"use strict";
const read = (id) => JSON.parse(document.getElementById(id).textContent);

// The style of the table has its own switch for dark paper.
const darkness = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark", darkness.matches);
darkness.addEventListener("change", follow);
follow();

const table = new DataTable("#all", {
  paging: false,
  order: [],
  layout: { topStart: "search", topEnd: null, bottomStart: "info", bottomEnd: null },
  language: { search: "Find", info: "_TOTAL_ rows", infoFiltered: "of _MAX_", infoEmpty: "no rows", zeroRecords: "No network fits." },
});
for (const [id, column] of [["filter-images", 1], ["filter-group", 2]]) {
  document.getElementById(id).addEventListener("change", (event) => {
    table.column(column).search(event.target.value, { exact: event.target.value !== "" }).draw();
  });
}

// What the table shows, charts show that ask for it.
const follows = [];
const narrow = (view) => {
  const rows = table.rows({ search: "applied" }).nodes().toArray();
  const all = rows.length === table.rows().count();
  return view.signal("shown", all ? null : rows.map((row) => row.cells[0].textContent)).runAsync();
};
table.on("draw", () => follows.forEach(narrow));

// Charts are drawn when they can be seen, as what is hidden has no width.
const charts = read("charts");
const options = { mode: "vega-lite", renderer: "svg", actions: false };
const drawn = new IntersectionObserver((entries) => {
  for (const entry of entries.filter((one) => one.isIntersecting)) {
    drawn.unobserve(entry.target);
    const chart = charts[entry.target.id];
    vegaEmbed(entry.target, chart, options).then(({ view }) => {
      if (!chart.params?.some((one) => one.name === "shown")) return;
      follows.push(view);
      narrow(view);
    });
  }
}, { rootMargin: "300px" });
document.querySelectorAll(".plot").forEach((plot) => drawn.observe(plot));

// Whoever follows a name to a network's page reads on there.
const arrive = () => {
  const target = document.getElementById(location.hash.slice(1));
  document.title = target?.matches("article.network") ? target.querySelector("h2").textContent : "eqmodels bench";
  if (target?.matches("article.network")) {
    target.focus();
    scrollTo(0, 0);
  }
};
addEventListener("hashchange", arrive);
arrive();

const turning = read("turning");
document.querySelectorAll(".turning").forEach((part) => {
  const slider = part.querySelector("input");
  const maps = turning[part.dataset.maps];
  const show = () => {
    const place = slider.value / slider.step;
    part.querySelector("output").textContent = `${slider.value}°`;
    slider.setAttribute("aria-valuetext", `${slider.value} degrees`);
    part.querySelectorAll("[data-part]").forEach((shown) => {
      const value = maps[shown.dataset.row][shown.dataset.part][place];
      if (shown.tagName === "IMG") shown.src = value;
      else shown.textContent = value.toExponential(1);
    });
  };
  slider.addEventListener("input", show);
  show();
});
