// A click on what has data-seek moves the video that is in sight to that second; on a strip,
// to the second under the pointer.

let listening = false;

export default function () {
  if (listening) return;
  listening = true;
  document.addEventListener("click", (event) => {
    const target = event.target.closest?.(".mien-timeline [data-seek]");
    if (!target) return;
    const video = [...document.querySelectorAll("video[data-testid=stVideo]")].find((each) => each.offsetParent);
    if (!video) return;
    const { left, width } = target.getBoundingClientRect();
    const length = Number(target.dataset.length);
    video.currentTime = length ? ((event.clientX - left) / width) * length : Number(target.dataset.seek);
    video.scrollIntoView({ block: "nearest", behavior: "smooth" });
  });
}
