// What the service refuses, as a person would say it.

const FORMATS = "mien reads JPEG, PNG, WebP and BMP";
const MEGABYTE = 1024 * 1024;

export const NOT_AN_IMAGE = `This is not an image. ${FORMATS}.`;
export const DAMAGED = "This image is damaged: save it again, or choose another.";

const BY_CODE = {
  unsupported_image: NOT_AN_IMAGE,
  broken_image: DAMAGED,
  unauthorised: "This service asks for an API key: type it into the box above, then press Enter.",
  rate_limited: "These were too many photos for one minute: wait a moment and try again.",
  overloaded: "The service is busy: try again in a moment.",
  not_ready: "The service is still starting: try again in a moment.",
  timeout: "Reading took too long: choose a smaller photo, or try again later.",
  slow_upload: "Sending the photo took too long: choose a smaller one, or try again later.",
};

// Throws if the file cannot be sent.
export function checkSize(file, mostBytes) {
  if (file.size <= mostBytes) return;
  const most = Math.floor(mostBytes / MEGABYTE);
  throw new Error(`The photo has ${Math.ceil(file.size / MEGABYTE)} MB; ${most} MB is the most that can be sent.`);
}

// status: of the answer. text: its body, which is JSON unless a proxy wrote it.
export function refusal(status, text) {
  try {
    const { code, message } = JSON.parse(text).error;
    return BY_CODE[code] ?? `The service refused: ${message}`;
  } catch {
    return `The service could not answer (${status}): try again in a moment.`;
  }
}

// Says why a browser cannot show a file.
export function unshown(file) {
  if (/\.hei[cf]$/i.test(file.name) || /hei[cf]/.test(file.type)) {
    return "This browser cannot show HEIC photos: save it as JPEG, then choose that.";
  }
  return NOT_AN_IMAGE;
}
