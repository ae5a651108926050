// Files that are dropped on the page.

// Takes a file that is dropped anywhere on the page; what else is dragged is let be.
export function onDrop(take) {
  let depth = 0;
  const change = (by) => {
    depth = Math.max(0, depth + by);
    document.body.classList.toggle("dropping", depth > 0);
  };
  const files = (event) => event.dataTransfer?.types.includes("Files");
  addEventListener("dragenter", (event) => files(event) && change(1));
  addEventListener("dragleave", (event) => files(event) && change(-1));
  addEventListener("dragover", (event) => files(event) && event.preventDefault());
  addEventListener("drop", (event) => {
    if (!files(event)) return;
    event.preventDefault();
    change(-depth);
    take(event.dataTransfer.files[0]);
  });
}
