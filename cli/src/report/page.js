// A crosshair that stands at the same time in all charts of a release.
document.querySelectorAll(".charts").forEach(function (charts) {
  var drawings = charts.querySelectorAll("svg");
  function show(x) {
    drawings.forEach(function (svg) {
      var cursor = svg.querySelector(".cursor");
      cursor.style.visibility = x === null ? "hidden" : "visible";
      if (x !== null) { cursor.setAttribute("transform", "translate(" + x + " 0)"); }
    });
  }
  drawings.forEach(function (svg) {
    svg.addEventListener("pointermove", function (event) {
      var box = svg.getBoundingClientRect();
      var x = (event.clientX - box.left) * svg.viewBox.baseVal.width / box.width;
      show(Math.min(Math.max(x, 60), 788));
    });
    svg.addEventListener("pointerleave", function () { show(null); });
  });
});
