document.title = "Mosaic";
